"""Pickles from strangers: arrays and numbers are rebuilt, anything else that a pickle asks for is refused.

The published DeepLense files hold pickled object arrays. A pickle is a program. This reader runs none of it: every
name that a pickle may call stands in `_Unpickler.find_class`, and those are our own functions, which build plain
arrays from raw bytes. What a pickle may build is counted, so that a small one cannot fill the memory.
"""

import io
import pickle
import pickletools
from typing import Any, Literal

import numpy as np

from lenssim.formats.limits import Refused

__all__ = ["NUMBERS", "load_pickle"]

NUMBERS = "biuf"  # kinds of dtype: booleans, integers, floats
_MOST_STEPS = 1 << 20  # opcodes of a pickle; the published files have some fifty
_MOST_ENTRIES = (
    1 << 18
)  # entries of nested lists, each counted as often as it is referred to
_DEEPEST = 8  # lists within lists
_SPARE = 1 << 20  # bytes


class _Dtype:
    """A dtype being rebuilt: a kind and a size, then a byte order."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else str(code)
        if text[:1] not in f"O{NUMBERS}" or not text[1:].isdigit():
            raise Refused(
                f"the pickle asks for the dtype {text!r}; only arrays and numbers are read"
            )
        self.code = text
        self.order = "="
        self.objects = text.startswith("O")

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else str(order)

    def numpy(self) -> np.dtype:
        """The numpy dtype of numbers that it stands for."""
        if self.objects:
            raise Refused("the pickle has an object where numbers should be")
        return np.dtype(self.order.replace("|", "=") + self.code)


class _Array:
    """An array being rebuilt; `value` is an ndarray of numbers, or a list where it was an array of objects."""

    def __init__(self, unpickler: "_Unpickler", value: Any = None) -> None:
        self.unpickler = unpickler
        self.value = value

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if dtype.objects:
            self.value = data
            return
        flat = np.frombuffer(self.unpickler.raw(data), dtype.numpy())
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._bytes_left = 4 * len(data) + _SPARE

    def raw(self, data: Any) -> bytes:
        """The bytes behind numbers; as many as the pickle itself can hold."""
        if not isinstance(data, str | bytes | bytearray):
            raise Refused(
                f"the pickle has a {type(data).__name__} where the bytes of numbers should be"
            )
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise Refused("the pickle builds more numbers than its file can hold")
        return data.encode("latin1") if isinstance(data, str) else bytes(data)

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): self._encode,
        }
        for core in ("numpy.core", "numpy._core"):
            allowed[(f"{core}.multiarray", "_reconstruct")] = self._reconstruct
            allowed[(f"{core}.multiarray", "scalar")] = self._scalar
            allowed[(f"{core}.numeric", "_frombuffer")] = self._from_buffer
        if (module, name) not in allowed:
            raise Refused(
                f"the pickle asks for {module}.{name}; only arrays and numbers are read"
            )
        return allowed[(module, name)]

    def persistent_load(self, pid: Any) -> Any:
        raise Refused(
            "the pickle asks for a persistent object; only arrays and numbers are read"
        )

    def _reconstruct(self, *_: Any) -> _Array:
        return _Array(self)

    def _scalar(self, dtype: _Dtype, data: Any) -> Any:
        return np.frombuffer(self.raw(data), dtype.numpy())[0]

    def _from_buffer(
        self, data: Any, dtype: _Dtype, shape: Any, order: Literal["A", "C", "F"]
    ) -> _Array:
        flat = np.frombuffer(self.raw(data), dtype.numpy())
        return _Array(self, flat.reshape(shape, order=order))

    def _encode(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise Refused(f"the pickle asks for the encoding {encoding!r}")
        return self.raw(text)


_MEMO_STEPS = ("PUT", "BINPUT", "LONG_BINPUT")


def load_pickle(data: bytes) -> Any:
    """Return what a pickle of arrays holds: an array, a number, or a nested list of them.

    Args:
        data: The whole pickle.

    Raises:
        Refused: The pickle asks for more than arrays and numbers, or for more memory than its size explains. Nothing
            that it asks for is executed.
    """
    _check_steps(data)
    return _Plain().value(_Unpickler(data).load())


def _check_steps(data: bytes) -> None:
    """Refuse a pickle of too many steps, of absurd places in its memo, or with bytes after its end."""
    end = 0
    for count, (opcode, argument, place) in enumerate(pickletools.genops(data)):
        if count >= _MOST_STEPS:
            raise Refused(f"its pickle takes more than {_MOST_STEPS:,} steps")
        if opcode.name in _MEMO_STEPS:
            entry = int(argument or 0)
            if not 0 <= entry <= len(data):
                raise Refused(
                    f"its pickle has a memo of {entry:,} entries in {len(data):,} bytes"
                )
        end = int(place or 0) + 1
    if end != len(data):
        raise Refused(f"{len(data) - end:,} bytes lie after its pickle, and would be lost")


class _Plain:
    """Turns what was unpickled into arrays, numbers and lists, and counts the entries as it goes."""

    def __init__(self) -> None:
        self.entries = 0

    def value(self, value: Any, depth: int = 0) -> Any:
        self.entries += 1
        if self.entries > _MOST_ENTRIES or depth > _DEEPEST:
            raise Refused(
                f"its lists hold more than {_MOST_ENTRIES:,} entries or lie more than {_DEEPEST} deep"
            )
        if isinstance(value, _Array):
            return self.value(value.value, depth)
        if isinstance(value, list | tuple):
            return [self.value(entry, depth + 1) for entry in value]
        if isinstance(value, float):
            return value
        if (
            isinstance(value, np.ndarray | np.generic | int)
            and np.asarray(value).dtype.kind in NUMBERS
        ):
            return value
        raise Refused(
            f"it holds a {type(value).__name__}; only arrays and numbers are read"
        )
