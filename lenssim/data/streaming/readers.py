"""The images of one shard, wherever they come from: read row by row, or decompressed a chunk at a time."""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lenssim.data.format.files import cause
from lenssim.data.format.manifest import ShardRecord
from lenssim.data.format.reading import decoded, open_shard
from lenssim.errors import DataError, VerificationError
from lenssim.machine import read_at

__all__ = [
    "Kept",
    "Packed",
    "Plain",
    "Store",
    "check_columns",
    "open_recorded",
    "picture_store",
    "read_column",
    "read_columns",
    "store_of",
]

_CHUNK_BYTES = 64 << 20  # decoded chunks kept by a process
_MOST_OPEN = 512  # files; half of what systems commonly allow


class _Recent[Key, Value]:
    """The values used last, up to a room that each takes `nbytes` of, or 1; for many threads. Pickled it is empty."""

    def __init__(self, room: int) -> None:
        self.room, self.taken = room, 0
        self.values: OrderedDict[Key, Value] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not kept."""
        with self.lock:
            if key in self.values:
                self.values.move_to_end(key)
                return self.values[key]
            value = self.values[key] = make()
            self.taken += getattr(value, "nbytes", 1)
            while self.taken > self.room and len(self.values) > 1:
                self.taken -= getattr(self.values.popitem(last=False)[1], "nbytes", 1)
            return value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.room,)


class _Descriptor:
    """A file open for reading until nobody refers to it; reads at a place, so that threads and forks may share it."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)
        self.close = os.close  # when Python ends, modules are gone before the last objects

    def __del__(self) -> None:
        if hasattr(self, "close"):
            self.close(self.number)


@dataclass
class Kept:
    """What the shards of a data set share: open files, and decoded chunks (k, C, H, W) by file and number."""

    files: _Recent[Path, _Descriptor] = field(default_factory=lambda: _Recent(_MOST_OPEN))
    chunks: _Recent[tuple[Path, int], np.ndarray] = field(
        default_factory=lambda: _Recent(_CHUNK_BYTES)
    )


@dataclass
class Plain:
    """Images in one piece of a file, each read into its place; `scale` (n, C) unless they are float32.

    Read rather than mapped: memory stays what it is however much was read, and a disk that goes away is an
    error instead of a signal that kills.
    """

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, int, int, int]
    kept: Kept
    scale: np.ndarray | None = None

    def read(self, row: int, image: np.ndarray) -> None:
        """Fill `image` (C, H, W) float32 with a row of the shard."""
        if self.scale is None:
            self._read(row, image)
            return
        stored = np.empty(self.shape[1:], self.dtype)
        self._read(row, stored)
        np.multiply(stored, self.scale[row, :, None, None], out=image, dtype=np.float32)

    def _read(self, row: int, target: np.ndarray) -> None:
        try:
            file = self.kept.files.get(self.path, lambda: _Descriptor(self.path))
            got = read_at(file.number, target, self.offset + row * target.nbytes)
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {cause(error)}") from None
        if got != target.nbytes:
            raise DataError(
                f"{self.path} ends within its images: it was truncated after it was opened"
            )


@dataclass
class Packed:
    """Images in compressed chunks of `chunk` rows."""

    path: Path
    chunk: int
    shape: tuple[int, int, int, int]
    kept: Kept
    _file: h5py.File | None = field(default=None, repr=False)
    _owner: int = 0

    def read(self, row: int, image: np.ndarray) -> None:
        """Fill `image` (C, H, W) float32 with a row of the shard."""
        number, place = divmod(row, self.chunk)
        image[...] = self.kept.chunks.get(
            (self.path, number), lambda: self._decoded(number)
        )[place]

    def _decoded(self, number: int) -> np.ndarray:
        if (
            self._file is None or self._owner != os.getpid()
        ):  # a forked worker opens its own
            self._file, self._owner = open_shard(self.path), os.getpid()
        try:
            return decoded(
                self._file, slice(number * self.chunk, (number + 1) * self.chunk)
            )
        except OSError as error:
            raise DataError(
                f"{self.path}: dataset images cannot be decompressed: {error}"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


Store = Plain | Packed


def open_recorded(path: Path, record: ShardRecord, config_hash: str) -> h5py.File:
    """Open a shard, and check that it is the one that its data set's record speaks of.

    Args:
        path: The shard's file.
        record: Its record in the manifest.
        config_hash: The sha256 of the data set's config, which every shard carries.

    Raises:
        DataError: The file is no shard, has another size, or belongs to another data set.
    """
    size = _size(path)
    if size != record.bytes:
        raise DataError(
            f"{path} has {size} bytes, the manifest states {record.bytes}: it was truncated or replaced"
        )
    file = open_shard(path)
    if file.attrs.get("config_hash") != config_hash:
        file.close()
        raise DataError(
            f"{path} belongs to another data set: its config_hash is not the manifest's; put this data set's own "
            "shard there, or remove the file and repeat the command that made the data set"
        )
    return file


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {cause(error)}") from None


def read_column(file: h5py.File, name: str, path: Path, record: ShardRecord) -> np.ndarray:
    """Read a small dataset of an open shard whole, and check it against the shard's record.

    Args:
        file: The open shard.
        name: The dataset, such as "labels" or "params/theta_E".
        path: The shard's file.
        record: Its record in the manifest.

    Returns:
        The dataset.

    Raises:
        VerificationError: It does not hold what was written.
    """
    values = file[name][...]
    place = record.datasets.get(name)
    if place is None:
        raise VerificationError(
            f"{path}: the manifest does not know the dataset {name}: the file was changed"
        )
    if hashlib.sha256(values.tobytes()).hexdigest() != place.sha256:
        raise VerificationError(
            f"{path}: dataset {name} does not hold what was written (sha256 differs)"
        )
    return values


def store_of(path: Path, record: ShardRecord, config_hash: str, kept: Kept) -> Store:
    """Return the images of a shard, checked against its record.

    Args:
        path: The shard's file.
        record: Its record in the manifest.
        config_hash: The sha256 of the data set's config.
        kept: What the shards of the data set share.

    Raises:
        DataError: The file is no shard or not of this data set, or its images are not as the record states.
        VerificationError: Their scale does not hold what was written.
    """
    with open_recorded(path, record, config_hash) as file:
        return _images_of(file, path, record, kept)


def read_columns(
    path: Path, record: ShardRecord, config_hash: str, classes: int, kept: Kept
) -> tuple[Store, np.ndarray, np.ndarray]:
    """Return the images, labels (n,) and sample numbers (n,) of a shard, checked against its record.

    Args:
        path: The shard's file.
        record: Its record in the manifest.
        config_hash: The sha256 of the data set's config.
        classes: The number of classes.
        kept: What the shards of the data set share.

    Raises:
        DataError: As `store_of`, or labels and numbers that cannot be.
        VerificationError: A dataset does not hold what was written.
    """
    with open_recorded(path, record, config_hash) as file:
        store = _images_of(file, path, record, kept)
        labels = read_column(file, "labels", path, record)
        index = read_column(file, "index", path, record)
    check_columns(labels, index, record, classes, str(path))
    return store, labels, index


def _images_of(file: h5py.File, path: Path, record: ShardRecord, kept: Kept) -> Store:
    dataset = file["images"]
    shape = (record.rows, *record.image_shape)
    if dataset.shape != shape:
        raise DataError(
            f"{path}: images has shape {dataset.shape}, the manifest states {shape}"
        )
    scale = read_column(file, "scale", path, record) if "scale" in file else None
    if dataset.chunks is not None:
        return Packed(path, dataset.chunks[0], shape, kept)
    offset = dataset.id.get_offset()
    if offset is None or offset + dataset.nbytes > record.bytes:
        raise DataError(
            f"{path}: images reaches beyond the end of the file: it is truncated"
        )
    return Plain(path, offset, dataset.dtype, shape, kept, scale)


def picture_store(
    path: Path, name: str, record: ShardRecord, config_hash: str, kept: Kept
) -> Plain:
    """Return the truth pictures of a shard; `DataError` if it has none of this name, and as `open_recorded`."""
    with open_recorded(path, record, config_hash) as file:
        if name not in file:
            raise DataError(
                f"{path} holds no {name}; make the data set with lenssim generate --truth {name}"
            )
        dataset = file[name]
        return Plain(
            path,
            dataset.id.get_offset(),
            dataset.dtype,
            (record.rows, *dataset.shape[1:]),
            kept,
        )


def check_columns(
    labels: np.ndarray, index: np.ndarray, record: ShardRecord, classes: int, where: str
) -> None:
    """`DataError` for labels of no class or other counts, or numbers that repeat or are not the record's."""
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"{where}: labels lie in {labels.min()}..{labels.max()} for {classes} classes"
        )
    if np.bincount(labels, minlength=classes).tolist() != list(record.class_counts):
        raise DataError(f"{where}: the classes are not as many as its record states")
    if (index[0], index[-1]) != (record.first, record.last) or (np.diff(index) <= 0).any():
        raise DataError(
            f"{where}: index is not the rising sample numbers {record.first}..{record.last}"
        )
