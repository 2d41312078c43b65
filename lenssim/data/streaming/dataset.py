"""A data set as a torch data set: images read or decompressed, splits by blocks of sample numbers."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from lenssim.data.format.digests import check_shard, pixel_digests
from lenssim.data.format.manifest import Manifest, read_manifest
from lenssim.data.format.maps import IMAGE, check_kept
from lenssim.data.streaming.locations import Folder, locate, path_of
from lenssim.data.streaming.readers import (
    Plain,
    Store,
    open_recorded,
    picture_store,
    read_column,
)
from lenssim.errors import unknown
from lenssim.simulate.streams import BLOCK, SPLITS

__all__ = ["SPLIT_PERIOD", "Batch", "ShardDataset", "rows_of_split", "split_of"]

Batch = dict[str, torch.Tensor]

SPLIT_PERIOD = 10  # blocks
_PLACES = {
    1: "validation",
    3: "test",
}  # of a block in its cycle; 256 samples already fill one block of each


def split_of(numbers: np.ndarray) -> np.ndarray:
    """Split (N,), as a place in `SPLITS`, of the samples `numbers` (N,): 80 % train, 10 % validation, 10 % test.

    A function of the number alone: a sample never changes sides when its data set grows. Blocks stay whole because
    the samples of a block are drawn from one generator.
    """
    table = np.array(
        [SPLITS.index(_PLACES.get(place, "train")) for place in range(SPLIT_PERIOD)]
    )
    return table[np.asarray(numbers) // BLOCK % SPLIT_PERIOD]


def rows_of_split(index: np.ndarray, split: str | None) -> np.ndarray:
    """Rows (K,) of the samples of a split in a column of sample numbers (n,); all rows for None."""
    if split is None:
        return np.arange(len(index))
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return np.flatnonzero(split_of(index) == SPLITS.index(split))


class ShardDataset(Dataset[Batch]):
    """The samples of a data set, by row; the rows of all shards are numbered through.

    `folder` is a folder, a URL that fsspec knows, or `follow:` and the folder of a generation that may still run. An
    item is `image` float32 (C, H, W), `label` int64 and `index`, the sample number. Many rows at once
    (`__getitems__`) give the same three with a leading N. `labels` and `index` (n,) are in memory, images stay on
    disk. `truth` names pictures that come along, `clean`, `kappa` and `residual`, float32 (C, H, W), of sets that were
    made with them; `picture` one that takes the image's place. Fit for threads, and for forked and spawned workers.
    `DataError` names the shard that is missing, damaged or not of this data set.
    """

    def __init__(
        self, folder: Path | str, truth: Sequence[str] = (), picture: str = IMAGE
    ) -> None:
        self.place = locate(folder)
        self.folder = (
            path_of(folder) if self.place.manifest is not None else self.place.folder
        )
        self.facts = self.place.facts()
        self.config: dict[str, Any] = self.facts.config
        self.labels, self.index = self.facts.labels, self.facts.index
        self.truth, self.picture = tuple(truth), picture
        self.columns: tuple[
            str, ...
        ] = ()  # true parameters that come along as `target` float64 (N, T)
        check_kept(folder, self.config, *self.truth, picture)
        self._pictures: dict[tuple[str, int], Plain] = {}
        self._first = np.cumsum([0, *self.facts.sizes])[:-1]
        self._verified: set[int] = set()  # shards
        self._stores: list[Store | None] = [None] * len(self.facts.sizes)
        if isinstance(
            self.place, Folder
        ):  # a file that is not a shard is to be found now, not in a week
            self._stores = [
                self.place.store(shard) for shard in range(len(self.facts.sizes))
            ]

    @property
    def manifest(self) -> Manifest:
        """The seal of the data set; `DataError` while it grows."""
        return self.place.manifest or read_manifest(self.place.folder)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.facts.classes

    @property
    def config_hash(self) -> str:
        """sha256 of the config."""
        return self.facts.config_hash

    @property
    def fingerprint(self) -> str:
        """64 hex digits over all contents; over the plan for one that is followed."""
        return self.facts.fingerprint

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self._shape(self.picture)
        return channels, height, width

    @property
    def order(self) -> dict[str, Any]:
        """Options of a `BatchSampler` that reads these images cheaply: blocks where they are compressed or far."""
        return self.facts.order

    @cached_property
    def params(self) -> dict[str, np.ndarray]:
        """Columns (n,) of the true parameters, by name."""
        columns: dict[str, list[np.ndarray]] = {}
        for shard in range(len(self._stores)):
            path, record = self.place.path(shard), self.place.record(shard)
            with open_recorded(path, record, self.config_hash) as file:
                for name in file.get("params", {}):
                    columns.setdefault(name, []).append(
                        read_column(file, f"params/{name}", path, record)
                    )
        return {name: np.concatenate(parts) for name, parts in columns.items()}

    def targets(self, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """True parameters (N, T) of the rows (N,); `KeyError` of a name that is not known, and those that are."""
        for name in names:
            if name not in self.params:
                raise KeyError(name, tuple(self.params))
        return np.stack([self.params[name][rows] for name in names], axis=1).astype(
            np.float64
        )

    def rows(self, split: str | None = None) -> np.ndarray:
        """Rows of a split, in the order of sample numbers; all rows for None. `ConfigError` for an unknown name."""
        return rows_of_split(self.index, split)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Images float32 (N, C, H, W) of the rows (N,), or the pictures in their place."""
        return self.pictures(self.picture, rows)

    def pictures(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Float32 (N, C, H, W) of the rows (N,): `image`, or the truth's `clean` [e-/s], `kappa`, `residual` [sigma].

        `DataError` without.
        """
        pictures = np.empty((len(rows), *self._shape(name)), np.float32)
        for picture, (shard, row) in zip(pictures, self._found(rows), strict=True):
            store = (
                self._store(shard) if name == IMAGE else self._picture_store(name, shard)
            )
            store.read(row, picture)
        return pictures

    def verified_digests(self, rows: np.ndarray) -> np.ndarray:
        """Check all shards that some rows lie in, byte for byte, and hash the images of these rows.

        A shard is checked once by each `ShardDataset`; in a data set that still grows it is waited for.

        Args:
            rows: Rows (N,) of the data set.

        Returns:
            Digests uint8 (N, 32), the sha256 of each image's pixels as little-endian float32 in C order. Copies of an
            image share it, whatever data set, layout or lossless storage they lie in.

        Raises:
            VerificationError: A shard does not hold what was written. The message names the shard and the datasets.
            DataError: A shard is missing or cannot be read.
        """
        rows = np.asarray(rows, dtype=np.int64)
        for shard in sorted({shard for shard, _ in self._found(rows)} - self._verified):
            check_shard(self.place.path(shard), self.place.record(shard))
            self._verified.add(shard)
        parts = [np.empty((0, 32), np.uint8)]
        for start in range(0, len(rows), BLOCK):
            parts.append(pixel_digests(self.pictures(IMAGE, rows[start : start + BLOCK])))
        return np.concatenate(parts)

    def _shape(self, name: str) -> tuple[int, ...]:
        return (
            self.facts.image_shape
            if name == IMAGE
            else self._picture_store(name, 0).shape[1:]
        )

    def _found(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """Shard of each row (N,) of the data set, and its row there."""
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(
                f"rows {rows.min()} to {rows.max()} of a data set of {len(self)} samples"
            )
        shards = np.searchsorted(self._first, rows, side="right") - 1
        return list(
            zip(shards.tolist(), (rows - self._first[shards]).tolist(), strict=True)
        )

    def _picture_store(self, name: str, shard: int) -> Plain:
        if (name, shard) not in self._pictures:
            path, record = self.place.path(shard), self.place.record(shard)
            store = picture_store(path, name, record, self.config_hash, self.place.kept)
            self._pictures[name, shard] = store
        return self._pictures[name, shard]

    def _store(self, shard: int) -> Store:
        store = self._stores[shard]
        if store is None:
            store = self._stores[shard] = self.place.store(int(shard))
        return store

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
            **{name: torch.from_numpy(self.pictures(name, rows)) for name in self.truth},
            **(
                {"target": torch.from_numpy(self.targets(self.columns, rows))}
                if self.columns
                else {}
            ),
        }
