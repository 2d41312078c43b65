"""Arrays as short texts, for presets and plans that hold the numbers of files."""

import base64
import zlib

import numpy as np

__all__ = ["is_packed", "pack", "packed_shape", "unpack"]

_MAX_BYTES = 2**28
_DTYPE = np.dtype("<f8")
_MARK = "packed:"


def pack(array: np.ndarray) -> str:
    """Return an array as text: its shape, and its compressed numbers in double precision.

    Example:
        >>> unpack(pack(np.arange(3.0)))
        array([0., 1., 2.])
    """
    numbers = np.ascontiguousarray(array, dtype=_DTYPE).tobytes()
    text = base64.b64encode(zlib.compress(numbers, 6)).decode("ascii")
    shape = "x".join(map(str, array.shape))
    return f"{_MARK}{shape}:{text}"


def is_packed(value: object) -> bool:
    """Return whether a value is a text that `pack` may have returned."""
    return isinstance(value, str) and value.startswith(_MARK)


def packed_shape(text: str) -> tuple[int, ...]:
    """Return the shape of a packed array.

    Raises:
        ValueError: The text holds none.
    """
    shape = text.removeprefix(_MARK).partition(":")[0].split("x")
    if not is_packed(text) or not all(side.isdecimal() for side in shape):
        raise ValueError("the packed numbers of an array are damaged")
    return tuple(map(int, shape))


def unpack(text: str) -> np.ndarray:
    """Return the array of a text, float64, read-only.

    Raises:
        ValueError: `pack` did not return this text.
    """
    shape = packed_shape(text)
    size = int(np.prod(shape, dtype=object)) * _DTYPE.itemsize
    if not 0 < size <= _MAX_BYTES:
        raise ValueError("the packed numbers of an array are damaged")
    try:
        content = base64.b64decode(text.rpartition(":")[2], validate=True)
        numbers = zlib.decompressobj().decompress(content, size)
        return np.frombuffer(numbers, _DTYPE).reshape(shape)
    except (ValueError, zlib.error):
        raise ValueError("the packed numbers of an array are damaged") from None
