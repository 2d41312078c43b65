"""Data sets behind URLs that fsspec knows: what is a URL, its path, and its errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lenssim.errors import ConfigError, DataError, LenssimError

__all__ = ["is_url", "path_of", "reading"]


def is_url(place: Path | str) -> bool:
    """Whether `place` is written as a URL."""
    return isinstance(place, str) and "://" in place


def path_of(place: Path | str) -> Any:
    """A file or folder here, or behind a URL that fsspec knows: a `Path`, or what reads like one."""
    if not is_url(place):
        return Path(place)
    from upath import UPath

    with reading(place):
        return UPath(place)


@contextmanager
def reading(place: object) -> Iterator[None]:
    """What stores raise, each its own, as `DataError`; a package that is missing as `ConfigError`."""
    try:
        yield
    except (LenssimError, FileNotFoundError):
        raise
    except ImportError as error:
        raise ConfigError(
            f"{place} needs another package: {error}; pip install 'lenssim[remote]'"
        ) from None
    except Exception as error:
        raise DataError(f"cannot read {place}: {type(error).__name__}: {error}") from None
