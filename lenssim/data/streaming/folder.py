"""A complete data set in a folder of this machine, and what any data set says of itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.bands import bands_of
from lenssim.data.format.labels import is_labelled
from lenssim.data.format.manifest import (
    SHARDS,
    Manifest,
    Plan,
    read_manifest,
    read_plan,
    shard_name,
)
from lenssim.data.format.reading import check_inside
from lenssim.data.format.records import ShardRecord
from lenssim.data.streaming.reader_cache import ReaderCache
from lenssim.data.streaming.readers import (
    ChunkedReader,
    Reader,
    image_reader,
    read_columns,
)
from lenssim.data.streaming.reading_order import ReadingOrder
from lenssim.errors import DataError

__all__ = ["MIXED_BLOCKS", "DatasetInfo", "LocalFolder", "check_manifest", "dataset_info"]

MIXED_BLOCKS = 8  # whose rows are mixed


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set says of itself.

    Attributes:
        config: What its bits depend on.
        classes: The names of the classes, by label; empty where nobody knows the labels.
        config_hash: The sha256 of the config.
        fingerprint: 64 hex digits over all contents.
        image_shape: (C, H, W).
        bands: Names of the bands; empty where they have none.
        labels: Labels (n,); None where nobody knows them.
        index: Sample numbers (n,).
        sizes: The number of rows in each shard.
        order: The order in which the images are cheap to read.
    """

    config: dict[str, Any]
    classes: tuple[str, ...]
    config_hash: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    bands: tuple[str, ...]
    labels: np.ndarray | None
    index: np.ndarray
    sizes: list[int]
    order: ReadingOrder


class LocalFolder:
    """A complete data set in a folder of this machine.

    Args:
        folder: The folder.
        manifest: The manifest, where it is not written yet. So the writer applies the
            reader's rules.

    Attributes:
        folder: Where its files are.
        origin: Where the data set really is; the same folder here.
        cache: What the readers of its shards share.

    Raises:
        DataError: The folder holds no complete data set.
    """

    def __init__(self, folder: Path, manifest: Manifest | None = None) -> None:
        self.folder = folder
        self.origin = folder
        self.manifest = read_manifest(folder) if manifest is None else manifest
        self.cache = ReaderCache()
        check_manifest(self.manifest, folder)
        self._readers: list[Reader | None] = [None] * len(self.manifest.shards)

    def info(self) -> DatasetInfo:
        """Return what the data set says of itself; every shard is opened and checked.

        Raises:
            DataError: A shard is missing, damaged or of another data set.
        """
        columns = []
        config_hash = self.manifest.config_hash
        classes = len(self.manifest.classes)
        for shard, record in enumerate(self.manifest.shards):
            reader, labels, index = read_columns(
                self.path(shard), record, config_hash, classes, self.cache
            )
            self._readers[shard] = reader
            columns.append((labels, index))
        return dataset_info(
            read_plan(self.folder), self.folder, self.manifest, columns, self._order()
        )

    def _order(self) -> ReadingOrder:
        """Return the blocks of compressed images; nothing for others."""
        reader = self.reader(0)
        if isinstance(reader, ChunkedReader) and reader.chunk > 1:
            return {"block": reader.chunk, "mix": MIXED_BLOCKS}
        return {}

    def path(self, shard: int) -> Path:
        """Return the file of a shard, which must not lead out of the data set's folder."""
        path = self.folder / SHARDS / shard_name(shard)
        check_inside(path, self.folder)
        return path

    def record(self, shard: int) -> ShardRecord:
        """Return the record of a shard."""
        return self.manifest.shards[shard]

    def reader(self, shard: int) -> Reader:
        """Return the reader of a shard's images."""
        reader = self._readers[shard]
        if reader is None:
            config_hash = self.manifest.config_hash
            reader = image_reader(
                self.path(shard), self.record(shard), config_hash, self.cache
            )
            self._readers[shard] = reader
        return reader


def check_manifest(manifest: Manifest, folder: Path) -> None:
    """Check that the shards of a manifest fit together.

    Args:
        manifest: The manifest.
        folder: The data set, for the message.

    Raises:
        DataError: They are not as many samples as it states, or have several shapes.
    """
    if sum(record.rows for record in manifest.shards) != manifest.n:
        raise DataError(
            f"{folder}: the shards of its manifest do not add up to {manifest.n} samples; "
            "generate it again",
            code="manifest-wrong",
            folder=folder,
            n=manifest.n,
        )
    if any(record.image_shape != manifest.image_shape for record in manifest.shards):
        raise DataError(
            f"{folder}: the shards of its manifest hold images of several shapes; "
            "generate it again",
            code="manifest-wrong",
            folder=folder,
        )


def dataset_info(
    plan: Plan,
    folder: Path,
    manifest: Manifest,
    columns: list[tuple[np.ndarray, np.ndarray]],
    order: ReadingOrder,
) -> DatasetInfo:
    """Return what a data set says of itself, from its records and columns.

    Args:
        plan: Its plan.
        folder: The data set, for the message.
        manifest: Its manifest.
        columns: The labels (n,) and sample numbers (n,) of each shard.
        order: The order in which its images are cheap to read.

    Returns:
        What it says of itself.

    Raises:
        DataError: Sample numbers repeat or fall from one shard to the next, or the manifest
            names other bands than the plan.
    """
    index = np.concatenate([numbers for _, numbers in columns])
    _check_contents(plan, folder, manifest, index)
    labelled = is_labelled(plan.config)
    labels = np.concatenate([shard_labels for shard_labels, _ in columns])
    return DatasetInfo(
        config=plan.config,
        classes=manifest.classes if labelled else (),
        config_hash=manifest.config_hash,
        fingerprint=manifest.fingerprint,
        image_shape=manifest.image_shape,
        bands=manifest.bands,
        labels=labels if labelled else None,
        index=index,
        sizes=[record.rows for record in manifest.shards],
        order=order,
    )


def _check_contents(
    plan: Plan, folder: Path, manifest: Manifest, index: np.ndarray
) -> None:
    """Refuse sample numbers that repeat, and bands that the plan does not name."""
    if (np.diff(index) <= 0).any():
        raise DataError(
            f"{folder}: sample numbers repeat or fall from one shard to the next; "
            "generate it again",
            code="manifest-wrong",
            folder=folder,
        )
    if manifest.bands != bands_of(plan.config):
        raise DataError(
            f"{folder}: its manifest names the bands {', '.join(manifest.bands) or 'not'}, "
            f"its plan {', '.join(bands_of(plan.config)) or 'does not'}; generate it again",
            code="manifest-wrong",
            folder=folder,
        )
