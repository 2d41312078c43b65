"""A complete data set in a folder of this machine, and what any data set says of itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.manifest import (
    SHARDS,
    Manifest,
    Plan,
    ShardRecord,
    read_manifest,
    read_plan,
    shard_name,
)
from lenssim.data.format.reading import check_inside
from lenssim.data.streaming.readers import Kept, Store, read_columns, store_of
from lenssim.errors import DataError

__all__ = ["MIXED_BLOCKS", "Facts", "Folder", "check_manifest", "facts_of"]

MIXED_BLOCKS = 8  # whose rows are mixed


@dataclass(frozen=True)
class Facts:
    """What a data set says of itself; `labels` and `index` (n,), `sizes` rows of each shard.

    `order` are the options of a `BatchSampler` that visits the images as is cheap here.
    """

    config: dict[str, Any]
    classes: tuple[str, ...]
    config_hash: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    labels: np.ndarray
    index: np.ndarray
    sizes: list[int]
    order: dict[str, Any]


class Folder:
    """A complete data set on this machine; `origin` is where it really lies, and is `folder` here.

    A `manifest` that is not written yet may be given: so the writer applies the reader's rules.
    """

    def __init__(self, folder: Path, manifest: Manifest | None = None) -> None:
        self.folder = self.origin = folder
        self.manifest = read_manifest(folder) if manifest is None else manifest
        self.kept = Kept()
        check_manifest(self.manifest, folder)
        self._stores: list[Store | None] = [None] * len(self.manifest.shards)

    def facts(self) -> Facts:
        """Read from every shard, which is checked."""
        columns = []
        for shard, record in enumerate(self.manifest.shards):
            config_hash, classes = self.manifest.config_hash, len(self.manifest.classes)
            store, labels, index = read_columns(
                self.path(shard), record, config_hash, classes, self.kept
            )
            self._stores[shard] = store
            columns.append((labels, index))
        block = getattr(self.store(0), "chunk", 1)
        order = {"block": block, "mix": MIXED_BLOCKS} if block > 1 else {}
        return facts_of(read_plan(self.folder), self.folder, self.manifest, columns, order)

    def path(self, shard: int) -> Path:
        """The file of a shard, which must not lead out of the data set's folder."""
        path = self.folder / SHARDS / shard_name(shard)
        check_inside(path, self.folder)
        return path

    def record(self, shard: int) -> ShardRecord:
        """The record of a shard."""
        return self.manifest.shards[shard]

    def store(self, shard: int) -> Store:
        """The images of a shard."""
        store = self._stores[shard]
        if store is None:
            store = store_of(
                self.path(shard), self.record(shard), self.manifest.config_hash, self.kept
            )
            self._stores[shard] = store
        return store


def check_manifest(manifest: Manifest, folder: Path) -> None:
    """`DataError` if the shards of a manifest are not as many samples as it states."""
    if sum(record.rows for record in manifest.shards) != manifest.n:
        raise DataError(
            f"{folder}: the shards of its manifest do not add up to {manifest.n} samples; make it anew"
        )
    if any(record.image_shape != manifest.image_shape for record in manifest.shards):
        raise DataError(
            f"{folder}: the shards of its manifest hold images of several shapes; make it anew"
        )


def facts_of(
    plan: Plan,
    folder: Path,
    manifest: Manifest,
    columns: list[tuple[np.ndarray, np.ndarray]],
    order: dict[str, Any],
) -> Facts:
    """What a data set says of itself, from its records and the labels and numbers (n,) of each shard.

    Raises:
        DataError: Sample numbers repeat or fall from one shard to the next.
    """
    index = np.concatenate([index for _, index in columns])
    if (np.diff(index) <= 0).any():
        raise DataError(
            f"{folder}: sample numbers repeat or fall from one shard to the next; make it anew"
        )
    return Facts(
        config=plan.config,
        classes=manifest.classes,
        config_hash=manifest.config_hash,
        fingerprint=manifest.fingerprint,
        image_shape=manifest.image_shape,
        labels=np.concatenate([labels for labels, _ in columns]),
        index=index,
        sizes=[record.rows for record in manifest.shards],
        order=order,
    )
