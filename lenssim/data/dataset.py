"""A data set's folder as a torch data set: images memory-mapped, splits by blocks of sample numbers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lenssim.data.manifest import SHARDS, Manifest, ShardRecord, read_manifest, read_plan, shard_name
from lenssim.data.sampler import BatchSampler
from lenssim.data.shards import open_shard
from lenssim.errors import DataError, unknown
from lenssim.simulate.streams import BLOCK, SPLITS

__all__ = ["Batch", "ShardDataset", "rows_of_split", "split_of", "stream"]

Batch = dict[str, torch.Tensor]

_CYCLE = 10  # blocks
_PLACES = {1: "validation", 3: "test"}  # of a block in its cycle; 256 samples already fill one block of each


def split_of(numbers: np.ndarray) -> np.ndarray:
    """Split (N,), as a place in `SPLITS`, of the samples `numbers` (N,): 80 % train, 10 % validation, 10 % test.

    A function of the number alone: a sample never changes sides when its data set grows. Blocks stay whole because
    the samples of a block are drawn from one generator.
    """
    table = np.array([SPLITS.index(_PLACES.get(place, "train")) for place in range(_CYCLE)])
    return table[np.asarray(numbers) // BLOCK % _CYCLE]


def rows_of_split(index: np.ndarray, split: str | None) -> np.ndarray:
    """Rows (K,) of the samples of a split in a column of sample numbers (n,); all rows for None."""
    if split is None:
        return np.arange(len(index))
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return np.flatnonzero(split_of(index) == SPLITS.index(split))


@dataclass(frozen=True)
class _Images:
    """Where the images of one shard lie in its file."""

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, int, int, int]

    def map(self) -> np.memmap:
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


class ShardDataset(Dataset[Batch]):
    """The samples of a complete data set, by row; the rows of all shards are numbered through.

    An item is `image` float32 (C, H, W), `label` int64 and `index`, the sample number. Many rows at once
    (`__getitems__`) give the same three with a leading N. `labels` and `index` (n,) are in memory, images stay on
    disk. Fit for forked and spawned workers. `DataError` names the shard that is missing, damaged or not of this
    data set.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        plan, self.manifest = read_plan(self.folder), read_manifest(self.folder)
        self.config: dict[str, Any] = plan.config
        _check_manifest(self.manifest, self.folder)
        parts = [_read_shard(self._path(i), record, self.manifest) for i, record in enumerate(self.manifest.shards)]
        self._images = [images for images, _, _ in parts]
        self.labels = np.concatenate([labels for _, labels, _ in parts])
        self.index = np.concatenate([index for _, _, index in parts])
        self._first = np.cumsum([0, *(len(labels) for _, labels, _ in parts)])[:-1]
        self._maps: list[np.memmap | None] = [None] * len(parts)
        if (np.diff(self.index) <= 0).any():
            raise DataError(f"{self.folder}: sample numbers repeat or fall from one shard to the next; make it anew")

    def _path(self, shard: int) -> Path:
        return self.folder / SHARDS / shard_name(shard)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.manifest.classes

    @property
    def config_hash(self) -> str:
        """sha256 of the config."""
        return self.manifest.config_hash

    @property
    def fingerprint(self) -> str:
        """64 hex digits over all contents."""
        return self.manifest.fingerprint

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.manifest.image_shape

    @cached_property
    def params(self) -> dict[str, np.ndarray]:
        """Columns (n,) of the true parameters, by name."""
        columns: dict[str, list[np.ndarray]] = {}
        for shard in range(len(self._images)):
            with open_shard(self._path(shard)) as file:
                for name, column in file.get("params", {}).items():
                    columns.setdefault(name, []).append(column[...])
        return {name: np.concatenate(parts) for name, parts in columns.items()}

    def rows(self, split: str | None = None) -> np.ndarray:
        """Rows of a split, in the order of sample numbers; all rows for None. `ConfigError` for an unknown name."""
        return rows_of_split(self.index, split)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Images float32 (N, C, H, W) of the rows (N,)."""
        shards = np.searchsorted(self._first, rows, side="right") - 1
        images = np.empty((len(rows), *self.image_shape), np.float32)
        for shard in np.unique(shards):
            here = shards == shard
            images[here] = self._map(shard)[rows[here] - self._first[shard]]
        return images

    def _map(self, shard: int) -> np.memmap:
        mapped = self._maps[shard]
        if mapped is None:
            mapped = self._maps[shard] = self._images[shard].map()
        return mapped

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Batch:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a data set of {len(self)} samples")
        return {name: column[0] for name, column in self.__getitems__([row]).items()}

    def __getitems__(self, rows: list[int] | np.ndarray) -> Batch:
        rows = np.asarray(rows, dtype=np.int64)
        return {
            "image": torch.from_numpy(self.images(rows)),
            "label": torch.from_numpy(self.labels[rows]),
            "index": torch.from_numpy(self.index[rows]),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": [None] * len(self._images)}  # a pickled memory map would be its content


def stream(
    dataset: Dataset[Batch], sampler: BatchSampler, workers: int = 0, pin_memory: bool = False
) -> DataLoader[Batch]:
    """Batches of a data set in a sampler's order, which `workers` do not change; the sampler keeps the place."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_whole,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # else every pass would draw from the global one
    )


def _whole(batch: Batch) -> Batch:
    return batch


def _check_manifest(manifest: Manifest, folder: Path) -> None:
    if sum(record.rows for record in manifest.shards) != manifest.n:
        raise DataError(f"{folder}: the shards of its manifest do not add up to {manifest.n} samples; make it anew")
    if min(manifest.image_shape) < 1:
        raise DataError(f"{folder}: its manifest states images of shape {manifest.image_shape}")


def _read_shard(path: Path, record: ShardRecord, manifest: Manifest) -> tuple[_Images, np.ndarray, np.ndarray]:
    """Place of the images, labels (n,) and sample numbers (n,) of a shard, checked against the manifest."""
    with open_shard(path) as file:
        size = path.stat().st_size
        if size != record.bytes:
            raise DataError(f"{path} has {size} bytes, the manifest states {record.bytes}: it was damaged or replaced")
        shape = (record.rows, *manifest.image_shape)
        images = _locate(file["images"], path, size, shape)
        labels, index = file["labels"][...].astype(np.int64), file["index"][...].astype(np.int64)
    if labels.min() < 0 or labels.max() >= len(manifest.classes):
        raise DataError(f"{path}: labels lie in {labels.min()}..{labels.max()} for {len(manifest.classes)} classes")
    if (index[0], index[-1]) != (record.first, record.last) or (np.diff(index) <= 0).any():
        raise DataError(f"{path}: index is not the rising sample numbers {record.first}..{record.last}")
    return images, labels, index


def _locate(dataset: h5py.Dataset, path: Path, size: int, shape: tuple[int, int, int, int]) -> _Images:
    if dataset.shape != shape:
        raise DataError(f"{path}: images has shape {dataset.shape}, the manifest states {shape}")
    offset = dataset.id.get_offset()
    if dataset.chunks is not None or offset is None:
        raise DataError(f"{path}: images is chunked or compressed; only contiguous images can be mapped into memory")
    if offset + dataset.id.get_storage_size() > size or dataset.id.get_storage_size() != dataset.nbytes:
        raise DataError(f"{path}: images reaches beyond the end of the file: it is truncated")
    return _Images(path, offset, dataset.dtype, shape)
