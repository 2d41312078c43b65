"""The images of one shard, wherever they come from: mapped into memory, or decompressed a chunk at a time."""

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lenssim.data.manifest import ShardRecord
from lenssim.data.reading import decoded, open_shard
from lenssim.data.storage import decode
from lenssim.errors import DataError

__all__ = ["Chunks", "Mapped", "Packed", "Store", "check_columns", "picture_store", "read_columns", "store_of"]

_CHUNK_BYTES = 64 << 20  # decoded chunks kept by a process


class Chunks:
    """The decoded chunks used last, shared by the shards of a data set, up to a number of bytes."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[Path, int], np.ndarray] = OrderedDict()
        self.bytes = 0

    def get(self, key: tuple[Path, int]) -> np.ndarray | None:
        """A chunk (k, C, H, W) float32, if it is kept."""
        if key in self.kept:
            self.kept.move_to_end(key)
        return self.kept.get(key)

    def put(self, key: tuple[Path, int], images: np.ndarray) -> None:
        """Keep a chunk, and let go of those not used for longest."""
        self.kept[key] = images
        self.bytes += images.nbytes
        while self.bytes > _CHUNK_BYTES and len(self.kept) > 1:
            self.bytes -= self.kept.popitem(last=False)[1].nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {"kept": OrderedDict(), "bytes": 0}


@dataclass
class Mapped:
    """Images in one piece of a file, which is mapped into memory; `scale` (n, C) unless they are float32."""

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, int, int, int]
    scale: np.ndarray | None = None
    _map: np.memmap | None = None

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Images float32 (k, C, H, W) of rows (k,) of the shard."""
        if self._map is None:
            self._map = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        return decode(self._map[rows], None if self.scale is None else self.scale[rows])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}  # a pickled memory map would be its content


@dataclass
class Packed:
    """Images in compressed chunks of `chunk` rows."""

    path: Path
    chunk: int
    shape: tuple[int, int, int, int]
    chunks: Chunks
    _file: h5py.File | None = field(default=None, repr=False)
    _owner: int = 0

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Images float32 (k, C, H, W) of rows (k,) of the shard."""
        images = np.empty((len(rows), *self.shape[1:]), np.float32)
        which = rows // self.chunk
        for number in np.unique(which):
            here = which == number
            images[here] = self._decoded(int(number))[rows[here] - number * self.chunk]
        return images

    def _decoded(self, number: int) -> np.ndarray:
        key = (self.path, number)
        kept = self.chunks.get(key)
        if kept is None:
            part = slice(number * self.chunk, (number + 1) * self.chunk)
            if self._file is None or self._owner != os.getpid():  # a forked worker opens its own
                self._file, self._owner = open_shard(self.path), os.getpid()
            try:
                kept = decoded(self._file, part)
            except OSError as error:
                raise DataError(f"{self.path}: dataset images cannot be decompressed: {error}") from None
            self.chunks.put(key, kept)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


Store = Mapped | Packed


def store_of(path: Path, record: ShardRecord, chunks: Chunks) -> Store:
    """The images of a shard, checked against its record; `DataError` names what does not fit."""
    with open_shard(path) as file:
        size = path.stat().st_size
        if size != record.bytes:
            raise DataError(f"{path} has {size} bytes, the manifest states {record.bytes}: it was damaged or replaced")
        dataset, shape = file["images"], (record.rows, *record.image_shape)
        if dataset.shape != shape:
            raise DataError(f"{path}: images has shape {dataset.shape}, the manifest states {shape}")
        if dataset.chunks is not None:
            return Packed(path, dataset.chunks[0], shape, chunks)
        offset = dataset.id.get_offset()
        if offset is None or offset + dataset.nbytes > size:
            raise DataError(f"{path}: images reaches beyond the end of the file: it is truncated")
        scale = file["scale"][...] if "scale" in file else None
        return Mapped(path, offset, dataset.dtype, shape, scale)


def picture_store(path: Path, name: str, rows: int) -> Mapped:
    """Truth pictures of a shard that `open_shard` accepts; `DataError` if it has none of this name."""
    with open_shard(path) as file:
        if name not in file:
            raise DataError(f"{path} holds no {name}; make the data set with lenssim generate --truth {name}")
        dataset = file[name]
        return Mapped(path, dataset.id.get_offset(), dataset.dtype, (rows, *dataset.shape[1:]))


def read_columns(path: Path, record: ShardRecord, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and sample numbers (n,) of a shard, checked against its record."""
    with open_shard(path) as file:
        labels, index = file["labels"][...], file["index"][...]
    check_columns(labels, index, record, classes, str(path))
    return labels, index


def check_columns(labels: np.ndarray, index: np.ndarray, record: ShardRecord, classes: int, where: str) -> None:
    """`DataError` for labels of no class, or sample numbers that repeat or are not the record's."""
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{where}: labels lie in {labels.min()}..{labels.max()} for {classes} classes")
    if (index[0], index[-1]) != (record.first, record.last) or (np.diff(index) <= 0).any():
        raise DataError(f"{where}: index is not the rising sample numbers {record.first}..{record.last}")
