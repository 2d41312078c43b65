"""The one tree of errors: each message says what is wrong, where, and how to mend it."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "ConfigError",
    "DataError",
    "IncompleteError",
    "LenssimError",
    "StorageError",
    "SurroundingsError",
    "VerificationError",
    "unknown",
]


class LenssimError(Exception):
    """Anything lenssim reports to its user; `exit_code` is what the command line returns."""

    exit_code = 1


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
    what: str, name: str, known: Iterable[str], error: type[LenssimError] = ConfigError
) -> LenssimError:
    """Return an error for a name that is not known, with the nearest known one as a suggestion.

    Args:
        what: What the name is of, such as "preset".
        name: The name that was given.
        known: The names that there are.
        error: The class of the error.

    Example:
        >>> print(unknown("net", "cmn", ["cnn", "vit"]))
        unknown net 'cmn': did you mean 'cnn'? known are cnn, vit
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return error(f"unknown {what} {name!r}: {hint}known are {', '.join(names) or 'none'}")
