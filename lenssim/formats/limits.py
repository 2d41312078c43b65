"""What a file may cost before it is read: a regular file, of a size that its header states and its bytes can hold."""

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lenssim.errors import DataError, LenssimError
from lenssim.names import printable

__all__ = ["Refused", "allowed_bytes", "check_bytes", "open_regular", "refusing"]

_LARGEST_ARRAY = 4 << 30  # bytes of numbers from one array of a file
_ALWAYS_ALLOWED = 128 << 20  # bytes that a compressed file may become, however small it is
_LARGEST_RATIO = (
    50  # bytes that one byte of a compressed file may become; images reach about ten
)


class Refused(Exception):
    """What is wrong with the content of a file, said without the file's name; `refusing` adds it."""


@contextmanager
def refusing(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever reading a file provokes into a `DataError` that names the file.

    Args:
        path: The file that is read in the body.
        kind: What the file should be, such as ".npy".

    Raises:
        DataError: The body raised something that is no error of lenssim's.
    """
    name = printable(str(path))
    try:
        yield
    except LenssimError:
        raise
    except Refused as error:
        raise DataError(f"{name}: {error}", code="file-invalid", name=name) from None
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # astropy says so of a damaged file
            raise DataError(_damaged(name, kind, error), code="file-invalid") from None
        raise DataError(
            f"cannot read {name}: {error.strerror}", code="unreadable-file", name=name
        ) from None
    except Exception as error:  # damaged headers, tables and pickles provoke many kinds
        raise DataError(_damaged(name, kind, error), code="file-invalid") from None


def _damaged(name: str, kind: str, error: Exception) -> str:
    reason = printable(" ".join(str(error).split())) or type(error).__name__
    return f"{name} cannot be read as {kind} (damaged, truncated, or another format): {reason[:300]}"


@contextmanager
def open_regular(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file for reading and give its size; folders, pipes and devices are refused, since they may never end.

    Raises:
        Refused: The path is no regular file.
        OSError: The file does not exist or cannot be read.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise Refused("it is no regular file")
    with path.open("rb") as file:
        yield file, state.st_size


def allowed_bytes(stored: int) -> int:
    """Return the bytes that a compressed file, or a part of one, of `stored` bytes may become."""
    return min(_LARGEST_ARRAY, max(_ALWAYS_ALLOWED, _LARGEST_RATIO * stored))


def check_bytes(wanted: int, limit: int = _LARGEST_ARRAY) -> None:
    """Refuse an array of `wanted` bytes if they are more than `limit`.

    Raises:
        Refused: They are.
    """
    if wanted > limit:
        raise Refused(
            f"its header promises {wanted:,} bytes of numbers, more than the {limit:,} that are read "
            "from a file of its size"
        )
