"""Paths behind URLs that fsspec knows, and the errors of what reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lenssim.errors import ConfigError, DataError, LenssimError

__all__ = ["is_url", "path_of", "reading"]


def is_url(place: Path | str) -> bool:
    """Return whether a place is written as a URL.

    Example:
        >>> is_url("s3://bucket/data/III"), is_url("data/III")
        (True, False)
    """
    return isinstance(place, str) and "://" in place


def path_of(place: Path | str) -> Any:
    """Return the path of a file or folder, here or behind a URL.

    Args:
        place: A path, or a URL that fsspec knows.

    Returns:
        A `Path`, or an object that reads like one.

    Raises:
        ConfigError: The URL needs a package that is not installed.
        DataError: The URL cannot be read.

    Example:
        >>> path_of("data/III").name
        'III'
    """
    if not is_url(place):
        return Path(place)
    from upath import UPath

    with reading(place):
        return UPath(place)


@contextmanager
def reading(place: object) -> Iterator[None]:
    """Turn what remote stores raise into errors of lenssim's.

    Args:
        place: What is read, for the message.

    Raises:
        ConfigError: A package is missing.
        DataError: Anything else that the store raises.
    """
    try:
        yield
    except (LenssimError, FileNotFoundError):
        raise
    except ImportError as error:
        raise ConfigError(
            f"{place} needs another package: {error}; pip install 'lenssim[remote]'",
            code="package-missing",
            place=place,
        ) from None
    except Exception as error:
        raise DataError(
            f"cannot read {place}: {type(error).__name__}: {error}",
            code="unreadable-url",
            place=place,
        ) from None
