"""The .npy file: an array of numbers, or pickled objects of which only arrays and numbers are read."""

import io
import math
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from lenssim.formats.limits import Refused, check_bytes, open_regular, refusing
from lenssim.formats.pickles import NUMBERS, load_pickle

__all__ = ["load_npy", "read_npy"]

_LONGEST_HEADER = 1 << 14  # bytes; numpy itself reads 10,000 characters
_LARGEST_PICKLE = 64 << 20  # bytes
_MOST_AXES = 16
_ARCHIVE = b"PK\x03\x04"


def load_npy(path: Path) -> Any:
    """Return what a .npy file holds: an array of numbers, or for an object array the nested list of its entries.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, is not .npy, is truncated, or holds a pickle that asks for more than
            arrays and numbers. Such a pickle is not executed.
    """
    with refusing(path, ".npy"), open_regular(path) as (file, size):
        return read_npy(file, size)


def read_npy(file: IO[bytes], size: int, limit: int | None = None) -> Any:
    """Return what the .npy format holds in `size` bytes from the place of `file` on; see `load_npy`.

    Args:
        file: A stream; its end is where the array must end.
        size: The bytes that the stream has left, as its container states them.
        limit: The most bytes that the array may take; default: what any array may.

    Raises:
        Refused: The content is not what it should be.
    """
    head = file.read(min(_LONGEST_HEADER, size))
    if head.startswith(_ARCHIVE):
        raise Refused("it is a .npz archive under the name .npy; rename it")
    header = io.BytesIO(head)
    shape, fortran, dtype = _header(header)
    body = head[header.tell() :]
    trailing = size - header.tell()
    if dtype.hasobject:
        if trailing > _LARGEST_PICKLE:
            raise Refused(
                f"its pickle of {trailing:,} bytes is longer than the {_LARGEST_PICKLE:,} that are read"
            )
        return load_pickle(body + file.read(trailing - len(body)))
    if dtype.kind not in NUMBERS:
        raise Refused(f"it holds {str(dtype)[:100]}, not numbers")
    if len(shape) > _MOST_AXES or any(side < 0 for side in shape):
        raise Refused(f"its header states the shape {str(shape)[:100]}")
    expected_bytes = math.prod(shape) * dtype.itemsize
    _check_length(expected_bytes, trailing)
    check_bytes(expected_bytes) if limit is None else check_bytes(expected_bytes, limit)
    data = bytearray(expected_bytes)
    data[: len(body)] = body
    _fill(file, memoryview(data)[len(body) :])
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _check_length(promised: int, present: int) -> None:
    """Refuse a file with fewer or more bytes of numbers than its header promises."""
    if promised > present:
        raise Refused(
            f"it is truncated: its header promises {promised:,} bytes of numbers, {present:,} are there"
        )
    if promised < present:
        raise Refused(
            f"{present - promised:,} bytes lie after its array, and would be lost (a second array?)"
        )


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        content = np.lib.format.read_array_header_1_0
    elif version in ((2, 0), (3, 0)):
        content = np.lib.format.read_array_header_2_0
    else:
        raise Refused(
            f"it has version {version[0]}.{version[1]} of the format; known are 1.0, 2.0 and 3.0"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers as Python 2 wrote them
        return content(file)


def _fill(file: IO[bytes], view: memoryview) -> None:
    while view:
        part = file.read(min(len(view), 1 << 24))
        if not part:
            raise Refused(f"it is truncated: {len(view):,} bytes of numbers are missing")
        view[: len(part)] = part
        view = view[len(part) :]
