"""YAML and JSON: words stay words, and what could be misread or fill memory is refused with its line."""

import json
from pathlib import Path

import pytest
import yaml
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.errors import ConfigError
from lenssim.formats.json import parse_json
from lenssim.formats.texts import MAX_DEPTH, MAX_YAML_BYTES
from lenssim.formats.yaml import parse_yaml, read_yaml
from lenssim.simulate.preset import load_preset, preset_text

ROOT = Path(__file__).parents[2]
OURS = [
    *ROOT.glob("lenssim/**/*.yaml"),
    *ROOT.glob("pipelines/**/*.yaml"),
    *ROOT.glob("docs/*.yaml"),
]


def bomb(levels: int, width: int) -> str:
    """A few lines whose aliases stand for width^levels values."""
    lines = ["a0: &a0 [1, 2]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_own_files_mean_what_they_meant(path):
    document = read_yaml(path, "ours")
    assert document == yaml.safe_load(path.read_text())
    assert list(document) == list(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, word)
            for word in (
                "no",
                "yes",
                "on",
                "off",
                "y",
                "n",
                "No",
                "ON",
                "1_000",
                "12:30:00",
                "1:30",
            )
        ),
        *(
            (word, word)
            for word in (
                "2024-01-01",
                "0b11",
                "=",
                "1e",
                "e5",
                ".",
                "-",
                "+",
                "<",
                "1.2.3",
                "Nan",
            )
        ),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, None) for word in ("", "~", "null", "Null")),
        ("-12", -12),
        ("+3", 3),
        ("0", 0),
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1.5e+3", -1500.0),
        ("0x1F", 31),
        ("0o17", 15),
        ('"1"', "1"),
        ("'no'", "no"),
        ("!!str 1", "1"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text, value):
    (found,) = parse_yaml(
        f"- {text}" if text not in ("-", "") else {"-": "- '-'", "": "- "}[text], "x"
    )
    assert (found, type(found)) == (value, type(value))


def test_keys_are_texts():
    assert parse_yaml("{no: 1, 0: 2, 1.5: 3, true: 4, ~: 5}", "x") == {
        "no": 1,
        "0": 2,
        "1.5": 3,
        "true": 4,
        "~": 5,
    }


def test_merged_keys_are_overridden_wherever_they_stand():
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {y: 4, <<: [*b, *a]}\nd: {'<<': 1}"
    document = parse_yaml(text, "x")
    assert document["b"] == {"x": 3, "y": 2}
    assert document["c"] == {"x": 3, "y": 4}
    assert document["d"] == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' comes twice, first in line 1"),
        ("x: {b: 1,\n b: 2}", "line 2: the key 'b' comes twice, first in line 1"),
        ("1: a\n'1': b", "line 2: the key '1' comes twice"),
        ("{<<: {a: 1}, <<: {b: 1}}", "the key '<<' comes twice"),
        ("? [a]\n: 1", "line 1: a key must be a word or number"),
        ("{<<: 3}", "line 1: << takes a mapping"),
        ("a:\n  b: 010", "line 2: 010 begins with 0"),
        ("a: .inf", "line 1: .* is not a finite number"),
        ("a: 1e999", "line 1: 1e999 is not a finite number"),
        (f"a: {'9' * 5000}", "line 1: 9{20}... has 5,000 digits, at most 308 are read"),
        ("a: !!float x", "line 1: .*remove the tag !!float"),
        ("a: !!python/object:os.system {}", "remove the tag"),
        ("a: !own 1", "remove the tag !own"),
        ("a:\n\tb: 1", "line 2, column 1: .*indent with spaces, not with tabs"),
        ("a: 1\n---\nb: 2", "line 2, column 1: but found another document"),
        ("a: *b", "undefined alias"),
        ("a: &a [*a]", "an alias stands inside of what it stands for"),
        ('a: "\\ud800"', "line 1: .* holds half of a letter"),
        ("a: 'x", "is not YAML: line 1"),
        ("a: \x1b[2J", "is not YAML"),
        ("[" * 20_000, f"nested more than {MAX_DEPTH} levels"),
        ("- " * 20_000 + "1", f"nested more than {MAX_DEPTH} levels"),
        (bomb(12, 10), "more than 200,000 values"),
        (bomb(3000, 1), f"nested more than {MAX_DEPTH} levels"),
    ],
    ids=lambda text: text[:20],
)
def test_what_could_be_misread_is_refused_with_its_line(text, message):
    with pytest.raises(
        ConfigError, match=message, check=has_code("text-invalid", where="mine.yaml")
    ) as caught:
        parse_yaml(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' comes twice"),
        ("[NaN]", "not a finite number"),
        ("[1e999]", "not a finite number"),
        ("[1" + "0" * 5000 + "]", "5,001 digits"),
        ("[" * 100_000, f"nested more than {MAX_DEPTH} levels"),
        ("[" * 60 + "]" * 60, f"nested more than {MAX_DEPTH} levels"),
        ('{"a": ["\\ud800"]}', "holds half of a letter"),
        ("{", "is not JSON"),
    ],
    ids=lambda text: text[:20],
)
def test_json_is_as_strict(text, message):
    with pytest.raises(
        ConfigError, match=message, check=has_code("text-invalid", where="plan.json")
    ):
        parse_json(text, "plan.json")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner),
    max_leaves=10,
)  # fmt: skip


@given(document=PLAIN)
def test_json_is_yaml_that_means_the_same(document):
    text = json.dumps(document)
    assert parse_json(text, "x") == document
    assert parse_yaml(text, "x") == document


@given(text=st.text(alphabet="ab:-[]{},&*!<'\"#?|>%@` \n\t0.e\x00", max_size=40))
def test_any_text_is_read_or_refused(text):
    complaint = "x"
    try:
        parse_yaml(text, "x")
    except ConfigError as error:
        complaint = str(error)
    assert complaint.startswith("x")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("name: ä".encode("utf-16"), "byte 0 is not UTF-8; save the file as UTF-8"),
        ("name: ä".encode("latin-1"), "byte 6 is not UTF-8"),
        (b"#" * (MAX_YAML_BYTES + 1), "larger than 4 MiB"),
    ],
    ids=["utf-16", "latin-1", "large"],
)
def test_files_are_utf_8_of_bounded_size(tmp_path, data, message):
    (tmp_path / "x.yaml").write_bytes(data)
    with pytest.raises(
        ConfigError, match=message, check=has_code("unreadable-text", what="the recipe")
    ):
        read_yaml(tmp_path / "x.yaml", "the recipe")


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(tmp_path / "x.yaml", "the recipe") == {"a": 1}


@pytest.mark.parametrize("ending", [".yaml", ".YAML", ".Yml"])
def test_endings_are_read_without_regard_to_case(tmp_path, ending):
    path = tmp_path / f"UP{ending}"
    path.write_text(
        preset_text("III")
        .replace("name: III", "name: up")
        .replace("  no_sub: {", "  no: {")
    )
    assert load_preset(path).class_names == ("no", "cdm", "axion")
