"""Texts of configuration files: how much of one is read, and what neither JSON nor YAML may hold."""

import math
from pathlib import Path

from lenssim.errors import ConfigError
from lenssim.names import printable

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUES",
    "TOO_DEEP",
    "TOO_MANY",
    "RefusedError",
    "finite_float",
    "finite_integer",
    "read_text",
    "whole_letters",
]

MAX_YAML_BYTES = 4 * 2**20
MAX_JSON_BYTES = 64 * 2**20  # a plan may hold the numbers of a large PSF
MAX_DEPTH = 50
MAX_VALUES = 200_000  # every alias counts as all that it stands for
_MOST_DIGITS = 308  # of a whole number that any float holds
TOO_MANY = f"more than {MAX_VALUES:,} values, each alias counted as all that it stands for"
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


class RefusedError(Exception):
    """A text is refused; its message says the line where it is known."""


def read_text(path: Path, what: str) -> str:
    """Return the text of a file of at most 64 MiB (JSON) or 4 MiB.

    Args:
        path: The file.
        what: What it is in words, such as "the preset".

    Raises:
        ConfigError: The file cannot be read, is too large or is not UTF-8.
    """
    limit = MAX_JSON_BYTES if path.suffix.lower() == ".json" else MAX_YAML_BYTES
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, what, getattr(error, "strerror", None) or error) from None
    if len(data) > limit:
        raise _unreadable(path, what, f"it is larger than {limit // 2**20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        raise _unreadable(path, what, why) from None


def _unreadable(path: Path, what: str, why: object) -> ConfigError:
    """Return the error for a file whose text cannot be read."""
    return ConfigError(
        f"cannot read {what} {printable(str(path))}: {why}",
        code="unreadable-text",
        what=what,
        path=path,
    )


def finite_integer(text: str) -> int:
    """Return the whole number that a text writes; refuse one that no float holds."""
    digits = len(text.lstrip("+-"))
    if digits > _MOST_DIGITS:
        raise RefusedError(
            f"{text[:20]}... has {digits:,} digits, at most {_MOST_DIGITS} are read"
        )
    return int(text)


def finite_float(text: str) -> float:
    """Return the number that a text writes; refuse infinity and NaN, in the words of JSON too."""
    try:
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RefusedError(f"{text[:20]} is not a finite number")
    return number


def whole_letters(text: str) -> str:
    """Return a text whose pairs of surrogates, as `\\ud83d\\ude00` writes them, are the letters they stand for."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise RefusedError(f"{printable(text[:40])} holds half of a letter") from None
