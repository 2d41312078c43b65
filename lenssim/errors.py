"""The one tree of errors: each message says what is wrong, where, and how to mend it."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from lenssim.names import printable

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
    "from_validation",
    "unknown",
]


_MAX_PROBLEMS = 20


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
    name: str,
    known: Iterable[str],
    *,
    code: str = "unknown-name",
) -> ConfigError:
    """Return an error for a name that is not known, with the nearest known one as a suggestion.

    Args:
        what: What the name is of, such as "preset".
        name: The name that was given.
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
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return ConfigError(
        f"unknown {what} {name!r}: {hint}known are {', '.join(names) or 'none'}",
        code=code,
        name=name,
        known=names,
        suggestion=close[0] if close else None,
    )


def explain_problem(problem: dict[str, Any]) -> str:
    """Return one problem of pydantic as "key: message"; a message about the whole has no key.

    Example:
        >>> explain_problem({"loc": ("a", 0), "msg": "Value error, too small"})
        'a.0: too small'
    """
    location = printable(".".join(map(str, problem["loc"])))
    message = printable(problem["msg"].removeprefix("Value error, "))
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
        train.yaml: epochs: Input should be a valid integer, unable to parse string as an integer
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
