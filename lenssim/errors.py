"""The one tree of errors: each message says what is wrong, where, and how to mend it."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from lenssim.names import printable, shown

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "ConfigError",
    "DataError",
    "IncompleteError",
    "LenssimError",
    "StorageError",
    "SurroundingsError",
    "VerificationError",
    "explain_problem",
    "explain_rule",
    "from_validation",
    "unknown",
]


_MAX_PROBLEMS = 20
_LIST = "must be a list"
_MAPPING = "must be a mapping, with values by name"
_TEXT = "must be a text"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_SWITCH = "must be true or false"
_RULES = {  # by pydantic's type of a problem
    "bool_parsing": _SWITCH,
    "bool_type": _SWITCH,
    "dict_type": _MAPPING,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_type": _WHOLE,
    "list_type": _LIST,
    "model_attributes_type": _MAPPING,
    "model_type": _MAPPING,
    "string_type": _TEXT,
    "tuple_type": _LIST,
}
_WORDED = ("value_error", "assertion_error")  # the message is ours


class LenssimError(Exception):
    """Anything lenssim reports to its user.

    Attributes:
        exit_code: What the command line returns.
        code: A short name that stays the same when the message is reworded. docs/errors.md
            lists all of them.
        fields: What the error is about, by name: the file, the option, the value.

    Example:
        >>> error = LenssimError("no file a.fits", code="no-file", path="a.fits")
        >>> str(error), error.code, error.fields
        ('no file a.fits', 'no-file', {'path': 'a.fits'})
    """

    exit_code = 1

    def __init__(
        self, message: str = "", /, *, code: str = "other", **fields: object
    ) -> None:
        super().__init__(message)
        self.code = code
        self.fields = fields


class ConfigError(LenssimError):
    """A value, name or file of the user's asks for something that cannot be done (exit code 2)."""

    exit_code = 2


class SurroundingsError(ConfigError):
    """The machine or its settings refuse what the program needs: no sample is at fault, no repetition mends it."""


class DataError(LenssimError):
    """Data on disk or from a file are not what they should be (exit code 1)."""


class StorageError(DataError):
    """A file could not be written: the disk is full, read-only or gone."""


class VerificationError(DataError):
    """Data do not hold the bytes that they were written with (exit code 3)."""

    exit_code = 3


class IncompleteError(LenssimError):
    """Work stopped before its end and can be continued by the same command (exit code 4)."""

    exit_code = 4


def unknown(
    what: str,
    name: object,
    known: Iterable[str],
    *,
    code: str = "unknown-name",
) -> ConfigError:
    """Return an error for a name that is not known, with the nearest known one as a suggestion.

    Args:
        what: What the name is of, such as "preset".
        name: The name that was given, which may be no text.
        known: The names that there are.
        code: The code of the error.

    Example:
        >>> error = unknown("net", "cmn", ["cnn", "vit"], code="unknown-net")
        >>> print(error)
        unknown net 'cmn': did you mean 'cnn'? known are cnn, vit
        >>> error.code, error.fields["name"], error.fields["suggestion"]
        ('unknown-net', 'cmn', 'cnn')
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5) if isinstance(name, str) else []
    hint = f"did you mean {close[0]!r}? " if close else ""
    return ConfigError(
        f"unknown {what} {shown(name)}: {hint}known are {', '.join(names) or 'none'}",
        code=code,
        name=name,
        known=names,
        suggestion=close[0] if close else None,
    )


def explain_rule(problem: dict[str, Any]) -> str:
    """Return which rule a value breaks, and the value, in the words of this project.

    Args:
        problem: One problem that pydantic reports.

    Example:
        >>> explain_rule({"type": "tuple_type", "msg": "", "input": "nominal"})
        'must be a list: [nominal]'
        >>> explain_rule({"type": "too_short", "msg": "List should have 2 items", "input": []})
        'must have 2 items, got []'
    """
    kind = problem.get("type", "value_error")
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return "is missing"
    if kind in _WORDED or (kind not in _RULES and " should " not in message):
        return printable(message)
    rule = _RULES.get(kind) or printable(re.sub(r"^\w+ should ", "must ", message))
    value = problem.get("input")
    if rule == _LIST and isinstance(value, str):
        return f"{rule}: [{printable(value[:40])}]"
    return f"{rule}, got {shown(value)}"


def explain_problem(problem: dict[str, Any]) -> str:
    """Return one problem of pydantic as "key: message"; a message about the whole has no key.

    Example:
        >>> explain_problem({"type": "value_error", "loc": ("a", 0), "msg": "too small"})
        'a.0: too small'
    """
    location = printable(".".join(map(str, problem["loc"])))
    message = explain_rule(problem)
    if not location:
        return message
    return f"{location}: {message}"


def from_validation(
    error: "ValidationError",
    where: object,
    *,
    kind: type[LenssimError] = ConfigError,
    explain: Callable[[dict[str, Any]], str] = explain_problem,
) -> LenssimError:
    """Return the error of this project for values that pydantic refused.

    Args:
        error: The error of pydantic.
        where: The document or the option that holds the values. The message begins with it.
        kind: The class of the error. A document that lenssim wrote itself gives a `DataError`.
        explain: Turns one problem of pydantic into words.

    Example:
        >>> from pydantic import TypeAdapter, ValidationError
        >>> try:
        ...     TypeAdapter(dict[str, int]).validate_python({"epochs": "many"})
        ... except ValidationError as problem:
        ...     print(from_validation(problem, "train.yaml"))
        train.yaml: epochs: must be a whole number, got 'many'
    """
    problems = error.errors(include_url=False)
    if len(problems) > 1:  # a list whose entries are wrong is also reported as too short
        problems = [problem for problem in problems if problem["type"] != "too_short"]
    lines = list(dict.fromkeys(explain(dict(p)) for p in problems[:_MAX_PROBLEMS]))
    if len(problems) > _MAX_PROBLEMS:
        lines.append(f"and {len(problems) - _MAX_PROBLEMS} more problems")
    code = "document-invalid" if issubclass(kind, DataError) else "settings-invalid"
    return kind(
        f"{where}: {'; '.join(lines)}",
        code=code,
        where=str(where),
        keys=[".".join(map(str, problem["loc"])) for problem in problems],
    )
