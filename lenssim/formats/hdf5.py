"""The HDF5 file of arrays: some of its datasets, and rows of one of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.formats.limits import Refused, check_bytes, open_regular, refusing

__all__ = ["hdf5_shapes", "read_hdf5", "read_hdf5_rows"]

_NUMBERS = "iufb"  # kinds of numpy's types that are numbers
_DEPTH = 4  # groups within groups


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    with (
        refusing(path, "HDF5"),
        open_regular(path) as (stream, _),
        h5py.File(stream, "r") as file,
    ):
        yield file


def hdf5_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of numbers of a file, by name: `group/name` in groups.

    Raises:
        DataError: The file cannot be read.
    """
    with _opened(path) as file:
        return dict(_shapes(file, "", _DEPTH))


def _shapes(group: Any, prefix: str, depth: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield names and shapes of the arrays of a group; links to groups are not followed."""
    import h5py

    for name, item in group.items():
        if isinstance(item, h5py.Dataset):
            if item.dtype.kind in _NUMBERS:
                yield f"{prefix}{name}", tuple(item.shape)
        elif depth and isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield from _shapes(item, f"{prefix}{name}/", depth - 1)


def read_hdf5(path: Path, name: str) -> np.ndarray:
    """Return one array of numbers of a file.

    Args:
        path: The file.
        name: Name of the dataset.

    Raises:
        DataError: The file cannot be read, or holds no such array of numbers.
    """
    with _opened(path) as file:
        dataset = _numbers(file, name)
        check_bytes(dataset.size * dataset.dtype.itemsize)
        return np.asarray(dataset[()])


def read_hdf5_rows(path: Path, name: str, rows: Sequence[int]) -> list[np.ndarray]:
    """Return some rows of an array, one by one, so that the others are never read.

    Args:
        path: The file.
        name: Name of the dataset.
        rows: Numbers of the rows along its first axis.

    Raises:
        DataError: The file cannot be read, or holds no such rows.
    """
    with _opened(path) as file:
        dataset = _numbers(file, name)
        row_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=np.int64))
        check_bytes(len(rows) * row_bytes)
        return [np.asarray(dataset[int(row)]) for row in rows]


def _numbers(file: Any, name: str) -> Any:
    dataset = file.get(name)
    if not hasattr(dataset, "dtype") or dataset.dtype.kind not in _NUMBERS:
        raise Refused(f"it holds no array of numbers called {name!r}")
    return dataset
