"""Every function of the Python door refuses a value of another type by the argument's name, and rounds nothing."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import numpy as np
import pytest
import torch
from error_codes import has_code

import lenssim as package
from lenssim.api.arguments import Between, checked
from lenssim.api.training import TrainingSettings
from lenssim.errors import ConfigError

METHODS = {
    "Dataset": ("__init__", "images", "split", "loader", "show", "verify"),
    "Exposure": ("save",),
    "Posterior": ("sample",),
    "Run": ("__init__", "evaluate", "predict", "posterior"),
}
FUNCTIONS = {
    name: getattr(package, name)
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
    and inspect.signature(getattr(package, name)).parameters
} | {
    f"{kind}.{name}": getattr(getattr(package, kind), name)
    for kind, names in METHODS.items()
    for name in names
}
FREE = ("Images", "Rows", "Any")  # whatever numpy reads; tests of their own look at these

VALUES = {  # by kind
    "whole": [3, np.int64(3), 10**5000],
    "number": [1.5, float("nan"), np.float32(1.5)],
    "switch": [True, np.bool_(False)],
    "text": ["x"],
    "path": [Path("x")],
    "none": [None],
    "list": [[object()], (None,), np.array([1.5])],
    "mapping": [{"x": object()}],
    "function": [len],
    "other": [object(), b"x", 1j, ...],
}
KINDS = {  # what a word of an annotation takes
    "int": ("whole",),
    "float": ("whole", "number"),
    "bool": ("switch",),
    "str": ("text",),
    "Path": ("text", "path"),
    "None": ("none",),
    "Stop": ("function",),
    "Report": ("function",),
}
LISTS = (
    r"(Sequence|Iterable|Mapping|Annotated|Literal)\[.*?\]"  # their entries are no values
)


def arguments(function: Callable[..., Any]) -> dict[str, str]:
    """Annotations of a function by the names of its arguments, as texts."""
    stated = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            if "TrainingSettings" in str(parameter.annotation):
                hints = get_type_hints(TrainingSettings)
                stated |= {key: str(hint) for key, hint in hints.items()}
        elif name != "self":
            written = parameter.annotation
            stated[name] = written if isinstance(written, str) else words_of(written)
    return stated


def words_of(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", None) or annotation)


def kinds_of(annotation: str) -> set[str]:
    """Kinds of values that an annotation takes; those of lists are lists alone."""
    if annotation.startswith("Annotated"):
        return {"whole"}
    outside = re.sub(
        LISTS, "", annotation.replace("Names", "str").replace("Optional", "None")
    )
    return {kind for word in re.findall(r"\w+", outside) for kind in KINDS.get(word, ())}


CASES = [
    pytest.param(function, name, annotation, id=f"{label}-{name}")
    for label, function in FUNCTIONS.items()
    for name, annotation in arguments(function).items()
    if annotation not in FREE
]


def values_of_other_types(annotation: str) -> list[Any]:
    taken_kinds = kinds_of(annotation)
    wrong = [values for kind, values in VALUES.items() if kind not in taken_kinds]
    return [value for values in wrong for value in values]


def dummies(function: Callable[..., Any]) -> dict[str, Any]:
    """A value of the right type for each argument that must be given; nothing looks at it."""
    right = {"whole": 3, "text": "x", "path": "x", "none": None}
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self":
            given[name] = None
        elif (
            parameter.default is parameter.empty
            and parameter.kind is not parameter.VAR_KEYWORD
        ):
            kinds = sorted(kinds_of(str(parameter.annotation)) & set(right))
            given[name] = right[kinds[0]] if kinds else "x"
    return given


def test_the_cases_are_many():
    assert len(FUNCTIONS) > 20
    assert len(CASES) > 150
    assert all(len(values_of_other_types(case.values[2])) >= 9 for case in CASES)


@pytest.mark.parametrize(("function", "name", "annotation"), CASES)
def test_a_value_of_another_type_is_refused_by_name(function, name, annotation):
    for value in values_of_other_types(annotation):
        refusal = has_code("argument-type", argument=name)
        with pytest.raises(ConfigError, check=refusal) as caught:
            function(**{**dummies(function), name: value})
        message = str(caught.value)
        assert re.match(rf"{name} takes (a|True|None|')", message), message
        assert len(message) < 400
        assert message.isprintable()


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
@pytest.mark.parametrize("function", [package.open, package.load_run, package.show])
def test_a_text_that_no_path_can_be_is_refused(function, text):
    with pytest.raises(ConfigError, check=has_code("argument-type")):
        function(text)


@pytest.mark.parametrize("value", ["big", None, [1, 2], True, {}, 1j, 10**400], ids=str)
def test_numbers_of_a_scene_are_numbers(value):
    for options in ({"theta_E": value}, {"sets": {"theta_E": value}}):
        with pytest.raises(ConfigError, check=has_code("argument-type")):
            package.render("III", engine="lenstronomy", **options)


@checked
def taken(
    whole: int = 0,
    number: float = 0,
    switch: bool = False,
    text: str = "",
    place: Path | str = "",
    names: "list[str] | str | None" = None,
    weights: dict[str, float] | None = None,
    choice: Literal["a", "b"] = "a",
    few: Annotated[int, Between(1, 3)] = 1,
) -> dict[str, Any]:
    return dict(locals())


RIGHT = [
    ("whole", np.int8(3), 3),
    ("whole", torch.tensor(3), 3),
    ("whole", -(2**70), -(2**70)),
    ("number", 3, 3.0),
    ("number", np.float32(0.5), 0.5),
    ("switch", np.True_, True),
    ("text", np.str_("x"), np.str_("x")),
    ("place", Path("x"), Path("x")),
    ("names", ("a", "b"), ["a", "b"]),
    ("names", (name for name in "ab"), ["a", "b"]),
    ("names", "a,b", "a,b"),
    ("names", None, None),
    ("weights", {"a": 1}, {"a": 1.0}),
    ("choice", "b", "b"),
    ("few", 3, 3),
]


@pytest.mark.parametrize(("name", "value", "expected"), RIGHT)
def test_values_of_the_right_type_are_taken(name, value, expected):
    assert taken(**{name: value})[name] == expected
    assert type(taken(**{name: value})[name]) is type(expected)


@pytest.mark.parametrize("few", [0, 4, 2**70])
def test_a_number_outside_its_interval_is_refused_by_name(few):
    with pytest.raises(ConfigError, check=has_code("option-range", option="few")):
        taken(few=few)


def test_a_checked_function_is_what_it_was():
    assert taken.__name__ == "taken"
    assert list(inspect.signature(taken).parameters)[:2] == ["whole", "number"]
    with pytest.raises(TypeError, match="unexpected"):
        taken(unknown=1)
