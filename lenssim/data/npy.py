"""Reading .npy files from strangers: arrays and numbers are rebuilt, anything else a pickle asks for is refused.

The published DeepLense files hold pickled object arrays. A pickle is a program; this reader runs none of it: every
name it may call stands in `_ALLOWED`, and those are our own functions, which build plain arrays from raw bytes.
"""

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lenssim.errors import DataError

__all__ = ["load_npy"]

_KINDS = "biuf"  # booleans, integers, floats


class _Dtype:
    """A dtype being rebuilt: a kind and a size, then a byte order."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else str(code)
        if text[:1] not in f"O{_KINDS}" or not text[1:].isdigit():
            raise DataError(f"the dtype {text!r}")
        self.code, self.order, self.objects = text, "=", text.startswith("O")

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else str(order)

    def numpy(self) -> np.dtype:
        """The numpy dtype of numbers it stands for."""
        if self.objects:
            raise DataError("an object where numbers should be")
        return np.dtype(self.order.replace("|", "=") + self.code)


class _Array:
    """An array being rebuilt; `value` is an ndarray of numbers, or a list where it was an array of objects."""

    value: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if dtype.objects:
            self.value = list(data)
            return
        raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
        flat = np.frombuffer(raw, dtype.numpy())
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _scalar(dtype: _Dtype, data: Any) -> Any:
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(raw, dtype.numpy())[0]


def _from_buffer(data: Any, dtype: _Dtype, shape: Any, order: str) -> _Array:
    array = _Array()
    array.value = np.frombuffer(bytes(data), dtype.numpy()).reshape(shape, order=order)
    return array


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise DataError(f"the encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Dtype, ("_codecs", "encode"): _encode}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[(f"{_core}.multiarray", "_reconstruct")] = _reconstruct
    _ALLOWED[(f"{_core}.multiarray", "scalar")] = _scalar
    _ALLOWED[(f"{_core}.numeric", "_frombuffer")] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(f"the pickle asks for {module}.{name}")
        return _ALLOWED[(module, name)]

    def persistent_load(self, pid: Any) -> Any:
        raise DataError("the pickle asks for a persistent object")


def load_npy(path: Path) -> Any:
    """What a .npy file holds: an ndarray of numbers, or for an object array the nested list of its entries.

    `DataError` names the file and what is wrong: not .npy, truncated, or a pickle that asks for more than arrays and
    numbers (which is then not executed).
    """
    try:
        with path.open("rb") as file:
            return _load(file, path.stat().st_size)
    except DataError as error:
        raise DataError(f"{path} was refused: {error}; only arrays and numbers are read") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # whatever a damaged header or pickle provokes
        raise DataError(f"{path} is no readable .npy file (damaged or truncated?): {error}") from None


def _load(file: BinaryIO, size: int) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        return _plain(_Unpickler(file, encoding="latin1").load())
    if dtype.kind not in _KINDS:
        raise DataError(f"it holds {dtype}, not numbers")
    count = int(np.prod(shape, dtype=object))
    if count * dtype.itemsize > size - file.tell():
        raise DataError(f"it is truncated: {count} numbers promised, {size - file.tell()} bytes left")
    flat = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return _plain(value.value)
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic | int | float) and np.asarray(value).dtype.kind in _KINDS:
        return value
    raise DataError(f"it holds a {type(value).__name__}")
