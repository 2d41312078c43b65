"""What the readers of a data set share: open files and decoded chunks."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Descriptor", "LRUCache", "ReaderCache"]

_CACHE_BYTES = 64 << 20  # of decoded chunks in one process
_MAX_OPEN_FILES = 512  # half of what systems commonly allow


class LRUCache[Key, Value]:
    """A cache of the values that were used most recently; many threads may share it.

    A copy in another process begins empty.

    Args:
        capacity: The sum of the sizes that the cache may hold. The size of a value is its
            `nbytes`, or 1 without.

    Example:
        >>> cache = LRUCache(capacity=2)
        >>> [cache.get(key, lambda key=key: key.upper()) for key in "abc"]
        ['A', 'B', 'C']
        >>> list(cache.values)
        ['b', 'c']
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self.values: OrderedDict[Key, Value] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of a key; `make` is called for one that is not held."""
        with self.lock:
            if key in self.values:
                self.values.move_to_end(key)
                return self.values[key]
            value = make()
            self.values[key] = value
            self.size += _size_of(value)
            while self.size > self.capacity and len(self.values) > 1:
                _, oldest = self.values.popitem(last=False)
                self.size -= _size_of(oldest)
            return value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.capacity,)


def _size_of(value: object) -> int:
    """Return the bytes of an array, and 1 for anything else."""
    return getattr(value, "nbytes", 1)


class Descriptor:
    """A file that stays open for reading until nobody refers to it.

    Every read names its offset, so that threads and forked processes may share the file.
    """

    _close = staticmethod(os.close)  # the module is gone when the interpreter ends

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            self._close(self.number)


@dataclass
class ReaderCache:
    """What all readers of a data set share: open files and decoded chunks.

    Attributes:
        files: Open files by path, as a text: a `Path` computes its hash in Python.
        chunks: Decoded chunks (k, C, H, W) by path and number of the chunk.
    """

    files: LRUCache[str, Descriptor] = field(
        default_factory=lambda: LRUCache(_MAX_OPEN_FILES)
    )
    chunks: LRUCache[tuple[Path, int], np.ndarray] = field(
        default_factory=lambda: LRUCache(_CACHE_BYTES)
    )
