"""Errors carry a code and fields: every raise gives a code, docs/errors.md lists it, copies keep it."""

import copy
import pickle
import re
from pathlib import Path
from typing import Literal

import pytest
from error_codes import CLASSES, expected_errors, sites
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from lenssim.errors import ConfigError, DataError, from_validation, unknown
from lenssim.names import shown
from lenssim.simulate.bounds import OutOfBoundsError

SITES = list(sites())
PAGE = Path(__file__).resolve().parents[1] / "docs" / "errors.md"
ROWS = re.findall(r"^\| `([a-z-]+)` \| (\d) \|", PAGE.read_text(encoding="utf-8"), re.M)
SHARE_WITH_CODE = 0.84  # the others are tests of messages that have several codes
OF_THE_TREE = {"other": 1, "unknown-name": 2, "document-invalid": 1, "settings-invalid": 2}


def test_each_place_that_makes_an_error_gives_a_code():
    assert len(SITES) > 400
    assert [site.place for site in SITES if site.code is None] == []


def test_tests_ask_for_the_code():
    asked = list(expected_errors(Path(__file__).parent))
    assert sum(asked) >= SHARE_WITH_CODE * len(asked) > 250


def test_a_code_is_a_short_name():
    texts = {site.text for site in SITES if site.text is not None}
    assert [text for text in texts if not re.fullmatch(r"[a-z]+(-[a-z]+){0,3}", text)] == []


def test_the_page_of_errors_lists_all_codes_with_their_exit_codes():
    raised = OF_THE_TREE | {site.text: site.exit_code for site in SITES if site.text}
    assert len(ROWS) == len(dict(ROWS)), "a code stands on the page once"
    assert {code: int(number) for code, number in ROWS} == raised


def test_a_code_has_one_exit_code():
    pairs = {(site.text, site.exit_code) for site in SITES if site.text}
    assert len(pairs) == len({code for code, _ in pairs})


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize(
    "clone", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_an_error_keeps_its_code_on_its_way_between_processes(kind, clone):
    error = clone(kind("no a.fits", code="no-file", path=Path("a.fits")))
    assert type(error) is kind
    assert (str(error), error.code) == ("no a.fits", "no-file")
    assert error.fields == {"path": Path("a.fits")}


def test_an_error_of_bounds_keeps_its_parts_between_processes():
    error = pickle.loads(pickle.dumps(OutOfBoundsError("q is 2", 3, ": lower it", 7)))
    assert (str(error), error.row, error.code) == (
        "sample 7: q is 2: lower it",
        3,
        "out-of-bounds",
    )


def test_an_unknown_name_brings_the_nearest_known_one():
    error = unknown("net", "cmn", ["vit", "cnn"], code="unknown-net")
    assert error.fields == {"name": "cmn", "known": ["cnn", "vit"], "suggestion": "cnn"}


@pytest.mark.parametrize(
    "name",
    [None, 3, 1.5, ["cnn"], b"cnn", 1 << 9999, object()],
    ids=lambda name: type(name).__name__,
)
def test_an_unknown_name_may_be_anything(name):
    error = unknown("net", name, ["vit", "cnn"], code="unknown-net")
    assert str(error).endswith("known are cnn, vit")
    assert error.fields["name"] is name


class _Anything(BaseModel):
    """A field for each kind of rule that pydantic knows by a word of its own."""

    names: tuple[str, ...] = ()
    tables: dict[str, int] = {}
    inner: "_Anything | None" = None
    text: str = Field(default="", pattern="^[a-z]*$", max_length=9)
    count: int = Field(default=1, ge=0)
    share: float = Field(default=0.5, lt=1, allow_inf_nan=False)
    switch: bool = False
    choice: Literal["a", "b"] = "a"


VALUES = [
    None,
    "Nominal",
    "x" * 200,
    3,
    -1,
    1.5,
    float("nan"),
    10**5000,
    [1],
    {"a": "b"},
    b"x",
]


@pytest.mark.parametrize("field", _Anything.model_fields)
@pytest.mark.parametrize("value", VALUES, ids=[shown(value)[:20] for value in VALUES])
def test_a_broken_rule_is_told_in_words_of_this_project(field, value):
    try:
        _Anything.model_validate({field: value})
    except ValidationError as problem:
        message = str(from_validation(problem, "a.yaml"))
        assert re.match(rf"a\.yaml: {field}(\.[\w.]+)?: must ", message)
        assert not re.search(r"Input|valid (string|integer|tuple|dict)|should", message)
        assert len(message) < 400
        assert message.isprintable()


def test_a_text_for_a_list_is_shown_as_a_list():
    with pytest.raises(ValidationError) as problem:
        _Anything.model_validate({"names": "nominal"})
    assert str(from_validation(problem.value, "p")) == "p: names: must be a list: [nominal]"


@pytest.mark.parametrize(
    ("kind", "code"), [(ConfigError, "settings-invalid"), (DataError, "document-invalid")]
)
def test_values_that_pydantic_refuses_become_an_error_with_their_keys(kind, code):
    with pytest.raises(ValidationError) as problem:
        TypeAdapter(dict[str, int]).validate_python({"a": "x", "b": 1, "c\x1b": "y"})
    error = from_validation(problem.value, Path("a.yaml"), kind=kind)
    assert type(error) is kind
    assert error.code == code
    assert error.fields == {"where": "a.yaml", "keys": ["a", "c\x1b"]}
    assert str(error).startswith("a.yaml: a: must be a whole number, got")
    assert "\x1b" not in str(error), "a terminal shows the message and does not obey it"


def test_a_long_list_of_problems_is_cut():
    with pytest.raises(ValidationError) as problem:
        TypeAdapter(list[int]).validate_python(["x"] * 50)
    message = str(from_validation(problem.value, "a.yaml"))
    assert message.count(";") == 20
    assert message.endswith("and 30 more problems")
