"""Readers of one shard's images: row by row where they lie, or one chunk at a time."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lenssim.data.format.files import cause
from lenssim.data.format.reading import decoded, open_shard
from lenssim.data.format.records import ShardRecord
from lenssim.data.streaming.opening import open_recorded
from lenssim.data.streaming.reader_cache import Descriptor, ReaderCache
from lenssim.errors import DataError, VerificationError
from lenssim.machine import read_at

__all__ = [
    "ChunkedReader",
    "ContiguousReader",
    "Reader",
    "check_columns",
    "image_reader",
    "map_reader",
    "read_column",
    "read_columns",
]


@dataclass
class ContiguousReader:
    """Reads images that lie in one piece of a file.

    The file is read rather than mapped into memory. So memory does not grow with what was
    read, and a disk that goes away is an error instead of a signal that kills the process.

    Attributes:
        path: The shard's file.
        offset: The first byte of the images in the file.
        dtype: The type of the stored pixels.
        shape: Shape (n, C, H, W) of all images.
        cache: The open files.
        scale: Scale (n, C) of the stored pixels; None for float32.
    """

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, int, int, int]
    cache: ReaderCache
    scale: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._key = str(self.path)
        if self.scale is not None:
            self._pixel_scale = self.scale[:, :, None, None]

    def read(self, row: int, image: np.ndarray) -> None:
        """Fill `image` (C, H, W) float32 with a row of the shard."""
        if self.scale is None:
            self._fill(row, image)
            return
        stored = np.empty(self.shape[1:], self.dtype)
        self._fill(row, stored)
        np.multiply(stored, self._pixel_scale[row], out=image, dtype=np.float32)

    def _fill(self, row: int, target: np.ndarray) -> None:
        """Fill `target` with the bytes of a row."""
        size = target.nbytes
        try:
            file = self.cache.files.get(self._key, self._opened)
            count = read_at(file.number, target, self.offset + row * size)
        except OSError as error:
            raise DataError(
                f"cannot read {self.path}: {cause(error)}",
                code="unreadable-file",
                path=self.path,
            ) from None
        if count != size:
            raise DataError(
                f"{self.path} ends within its images: it was truncated after it was opened",
                code="unreadable-shard",
                path=self.path,
            )

    def _opened(self) -> Descriptor:
        return Descriptor(self._key)


@dataclass
class ChunkedReader:
    """Reads images that are compressed in chunks.

    Attributes:
        path: The shard's file.
        chunk: The number of rows in a chunk.
        shape: Shape (n, C, H, W) of all images.
        cache: The decoded chunks.
    """

    path: Path
    chunk: int
    shape: tuple[int, int, int, int]
    cache: ReaderCache
    _file: h5py.File | None = field(default=None, repr=False)
    _owner: int = 0

    def read(self, row: int, image: np.ndarray) -> None:
        """Fill `image` (C, H, W) float32 with a row of the shard."""
        number, position = divmod(row, self.chunk)
        key = (self.path, number)
        chunk = self.cache.chunks.get(key, lambda: self._decoded(number))
        image[...] = chunk[position]

    def _decoded(self, number: int) -> np.ndarray:
        """Decode a chunk; a forked process opens the file for itself."""
        if self._file is None or self._owner != os.getpid():
            self._file = open_shard(self.path)
            self._owner = os.getpid()
        rows = slice(number * self.chunk, (number + 1) * self.chunk)
        try:
            return decoded(self._file, rows)
        except OSError as error:
            raise DataError(
                f"{self.path}: dataset images cannot be decompressed: {error}",
                code="unreadable-shard",
                path=self.path,
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


Reader = ContiguousReader | ChunkedReader


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
    dataset = record.datasets.get(name)
    if dataset is None:
        raise VerificationError(
            f"{path}: the manifest does not know the dataset {name}: the file was changed",
            code="damaged-data",
            path=path,
            name=name,
        )
    if hashlib.sha256(values.tobytes()).hexdigest() != dataset.sha256:
        raise VerificationError(
            f"{path}: dataset {name} does not hold what was written (sha256 differs)",
            code="damaged-data",
            path=path,
            name=name,
        )
    return values


def image_reader(
    path: Path, record: ShardRecord, config_hash: str, cache: ReaderCache
) -> Reader:
    """Return a reader of a shard's images, after a check against its record.

    Args:
        path: The shard's file.
        record: Its record in the manifest.
        config_hash: The sha256 of the data set's config.
        cache: What the readers of the data set share.

    Returns:
        The reader.

    Raises:
        DataError: The file is no shard or of another data set, or its images are not as the
            record states.
        VerificationError: Their scale does not hold what was written.
    """
    with open_recorded(path, record, config_hash) as file:
        return _reader_of(file, path, record, cache)


def read_columns(
    path: Path, record: ShardRecord, config_hash: str, classes: int, cache: ReaderCache
) -> tuple[Reader, np.ndarray, np.ndarray]:
    """Return a reader, the labels (n,) and the sample numbers (n,) of a shard, all checked.

    Args:
        path: The shard's file.
        record: Its record in the manifest.
        config_hash: The sha256 of the data set's config.
        classes: The number of classes.
        cache: What the readers of the data set share.

    Returns:
        The reader of its images, its labels and its sample numbers.

    Raises:
        DataError: As for `image_reader`, or labels and numbers that cannot be.
        VerificationError: A dataset does not hold what was written.
    """
    with open_recorded(path, record, config_hash) as file:
        reader = _reader_of(file, path, record, cache)
        labels = read_column(file, "labels", path, record)
        index = read_column(file, "index", path, record)
    check_columns(labels, index, record, classes, str(path))
    return reader, labels, index


def _reader_of(
    file: h5py.File, path: Path, record: ShardRecord, cache: ReaderCache
) -> Reader:
    """Return the reader that fits the layout of an open shard's images."""
    dataset = file["images"]
    channels, height, width = record.image_shape
    shape = (record.rows, channels, height, width)
    if dataset.shape != shape:
        raise DataError(
            f"{path}: images has shape {dataset.shape}, the manifest states {shape}",
            code="shard-structure",
            path=path,
            shape=dataset.shape,
        )
    scale = None
    if "scale" in file:
        scale = read_column(file, "scale", path, record)
    if dataset.chunks is not None:
        return ChunkedReader(path, dataset.chunks[0], shape, cache)
    offset = dataset.id.get_offset()
    if offset is None or offset + dataset.nbytes > record.bytes:
        raise DataError(
            f"{path}: images reaches beyond the end of the file: it is truncated",
            code="shard-structure",
            path=path,
        )
    return ContiguousReader(path, offset, dataset.dtype, shape, cache, scale)


def map_reader(
    path: Path, name: str, record: ShardRecord, config_hash: str, cache: ReaderCache
) -> ContiguousReader:
    """Return a reader of the maps that a shard keeps beside its images.

    Args:
        path: The shard's file.
        name: The map, such as "kappa".
        record: Its record in the manifest.
        config_hash: The sha256 of the data set's config.
        cache: What the readers of the data set share.

    Returns:
        The reader.

    Raises:
        DataError: The shard keeps no such map, or as for `open_recorded`.
    """
    with open_recorded(path, record, config_hash) as file:
        if name not in file:
            raise DataError(
                f"{path} holds no {name}; "
                f"make the data set with lenssim generate --truth {name}",
                code="map-missing",
                path=path,
                name=name,
            )
        dataset = file[name]
        shape = (record.rows, *dataset.shape[1:])
        return ContiguousReader(path, dataset.id.get_offset(), dataset.dtype, shape, cache)


def check_columns(
    labels: np.ndarray, index: np.ndarray, record: ShardRecord, classes: int, where: str
) -> None:
    """Check the labels and sample numbers of a shard against its record.

    Args:
        labels: Labels (n,).
        index: Sample numbers (n,).
        record: The shard's record in the manifest.
        classes: The number of classes.
        where: The shard, for the message.

    Raises:
        DataError: Labels of no class or in other counts, or numbers that repeat or are not
            those of the record.
    """
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"{where}: labels lie in {labels.min()}..{labels.max()} for {classes} classes",
            code="shard-structure",
            where=where,
            classes=classes,
        )
    counts = np.bincount(labels, minlength=classes).tolist()
    if counts != list(record.class_counts):
        raise DataError(
            f"{where}: the classes are not as many as its record states",
            code="shard-structure",
            where=where,
        )
    ends = (index[0], index[-1])
    if ends != (record.first, record.last) or (np.diff(index) <= 0).any():
        raise DataError(
            f"{where}: index is not the rising sample numbers {record.first}..{record.last}",
            code="shard-structure",
            where=where,
            first=record.first,
        )
