"""ShardDataset: a data set of lenssim as torch reads it, with its images left on disk."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from lenssim.data.format.digests import check_shard, pixel_digests
from lenssim.data.format.manifest import CATALOGUE, Manifest, read_manifest
from lenssim.data.format.maps import IMAGE, check_kept, parts_of, stacked
from lenssim.data.format.origin import Origin
from lenssim.data.format.spec import GenerationSpec, spec_of
from lenssim.data.streaming.locations import LocalFolder, open_location, path_of
from lenssim.data.streaming.observations import Observation, observations, sample_names
from lenssim.data.streaming.opening import open_recorded
from lenssim.data.streaming.readers import (
    ContiguousReader,
    Reader,
    map_reader,
    read_column,
)
from lenssim.data.streaming.source import (
    Batch,
    ReadingOrder,
    Sample,
    SampleDataset,
    Transform,
)
from lenssim.data.streaming.splits import rows_of_split
from lenssim.rows import row_numbers

__all__ = ["Batch", "ShardDataset"]

_ROWS_PER_HASH = 64  # images in memory at a time while hashing


class ShardDataset(SampleDataset):
    """The samples of a data set by row. Rows are counted from 0 through all shards.

    A sample is a dict of `image` float32 (C, H, W), `label` and `index` (the sample
    number), each an int64 scalar. `torch.utils.data.DataLoader` makes batches of it as of any
    other data set, also in random order and with worker processes. `batch` reads many rows
    faster. Images stay on disk.

    Args:
        folder: A folder, a URL that fsspec knows, or `follow:` and the folder of a
            generation that may still run.
        split: "train", "validation" or "test": only the samples of this split. None: all samples.
        maps: Names of maps that every sample contains too, such as "clean" and "kappa".
        targets: Names of T true parameters. Every sample contains them as `target` float64 (T,).
        transform: Applied to the image of every sample.
        picture: Name of the map that is read as the image, such as "residual".

    Attributes:
        index: Sample numbers (n,).
        labels: Labels (n,), or None if they are not known.
        location: Where the data set is stored.
        info: Description of the whole data set, also if `split` selects a part of it.

    Raises:
        ConfigError: The split is unknown, or the data set keeps no such map.
        DataError: A shard is missing, damaged or not of this data set; the message names
            it.
        KeyError: The data set has no such parameter.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> data = ShardDataset("data/III", split="train")  # doctest: +SKIP
        >>> batch = next(iter(DataLoader(data, batch_size=32)))  # doctest: +SKIP
        >>> batch["image"].shape  # doctest: +SKIP
        torch.Size([32, 1, 64, 64])
    """

    def __init__(
        self,
        folder: Path | str,
        split: str | None = None,
        *,
        maps: Sequence[str] = (),
        targets: Sequence[str] = (),
        transform: Transform | None = None,
        picture: str = IMAGE,
    ) -> None:
        self.location = open_location(folder)
        self.folder = self.location.folder
        if self.location.manifest is not None:
            self.folder = path_of(folder)
        self.info = self.location.info()
        self.config: dict[str, Any] = self.info.config
        self.split = split
        self.maps = tuple(maps)
        self.columns = tuple(targets)
        self.transform = transform
        self.picture = picture
        check_kept(folder, self.config, *self.maps, picture)
        self._select_rows()
        self._open_readers()
        if self.columns:
            self.targets(
                self.columns, np.arange(0)
            )  # so that an unknown name is an error now

    def _select_rows(self) -> None:
        """Find the rows of the split, and set their labels and sample numbers."""
        self.index = self.info.index
        self.labels = self.info.labels
        self._rows: np.ndarray | None = None
        if self.split is None:
            return
        self._rows = rows_of_split(self.info.index, self.split)
        self.index = self.index[self._rows]
        if self.labels is not None:
            self.labels = self.labels[self._rows]

    def _open_readers(self) -> None:
        """Open the shards of a local folder now, so that a damaged one is found early."""
        shards = range(len(self.info.sizes))
        self._starts = np.cumsum([0, *self.info.sizes])[:-1]
        self._verified: set[int] = set()
        self._map_readers: dict[tuple[str, int], ContiguousReader] = {}
        self._readers: list[Reader | None] = [None for _ in shards]
        if isinstance(self.location, LocalFolder):
            self._readers = [self.location.reader(shard) for shard in shards]

    @property
    def manifest(self) -> Manifest:
        """The manifest; `DataError` while the data set still grows and has none."""
        return self.location.manifest or read_manifest(self.location.folder)

    @cached_property
    def spec(self) -> GenerationSpec | None:
        """The specification of its simulation; None for imported images."""
        return spec_of(self.config, self.folder / CATALOGUE)

    @property
    def name(self) -> str:
        """The name of the data set's folder."""
        return self.folder.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by label; empty if the labels are not known."""
        return self.info.classes

    @property
    def config_hash(self) -> str:
        """The sha256 of the config."""
        return self.info.config_hash

    @property
    def fingerprint(self) -> str:
        """64 hex digits that identify the contents, or the plan of a data set that still grows."""
        return self.info.fingerprint

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        shapes = [self._shape(part) for part in parts_of(self.picture)]
        _, height, width = shapes[0]
        return sum(shape[0] for shape in shapes), height, width

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands; empty if bands have no names, or `picture` has one map for all."""
        if len(self.info.bands) == self.image_shape[0]:
            return self.info.bands
        return ()

    @cached_property
    def pixel_scale(self) -> float | None:
        """The pixel scale in arcsec; None where it is not known."""
        return Origin.of(self.config).pixel_scale

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of lenses by sample number; empty where they have none."""
        return sample_names(self.location, self.config_hash)

    @property
    def order(self) -> ReadingOrder:
        """Options with which a `BatchSampler` reads these images fast."""
        return self.info.order

    @cached_property
    def params(self) -> dict[str, np.ndarray]:
        """Columns (n,) of the true parameters, by name."""
        columns: dict[str, list[np.ndarray]] = {}
        for shard in range(len(self.info.sizes)):
            path = self.location.path(shard)
            record = self.location.record(shard)
            with open_recorded(path, record, self.config_hash) as file:
                for name in file.get("params", {}):
                    column = read_column(file, f"params/{name}", path, record)
                    columns.setdefault(name, []).append(column)
        params = {name: np.concatenate(parts) for name, parts in columns.items()}
        if self._rows is None:
            return params
        return {name: column[self._rows] for name, column in params.items()}

    def targets(self, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Return true parameters.

        Args:
            names: Names of T parameters.
            rows: Rows (N,) of the data set.

        Returns:
            Values float64 (N, T).

        Raises:
            KeyError: A name is unknown; its arguments are the name and the known names.
        """
        for name in names:
            if name not in self.params:
                raise KeyError(name, tuple(self.params))
        rows = row_numbers(rows, len(self))
        columns = [self.params[name][rows] for name in names]
        return np.stack(columns, axis=1).astype(np.float64)

    def rows(self, split: str | None = None) -> np.ndarray:
        """Return the rows of a split, in the order of sample numbers; all rows for None.

        Raises:
            ConfigError: The split is unknown.
        """
        return rows_of_split(self.index, split)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of some rows, without any transform.

        Args:
            rows: Rows (N,) of the data set, from 0.

        Returns:
            Images float32 (N, C, H, W): the maps `picture`, if one was given.

        Raises:
            DataError: A shard cannot be read.
            RowError: A row lies outside the data set; it is an `IndexError` too.
        """
        return stacked([self.read_map(part, rows) for part in parts_of(self.picture)])

    def read_map(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return the maps of some rows.

        Args:
            name: "image", or a map that the data set keeps: "clean" [e-/s], "kappa",
                "residual" [sigma], "hr".
            rows: Rows (N,) of the data set, from 0.

        Returns:
            Maps float32 (N, C, H, W).

        Raises:
            DataError: A shard cannot be read, or keeps no such map.
            RowError: A row lies outside the data set; it is an `IndexError` too.
        """
        rows = row_numbers(rows, len(self))
        maps = np.empty((len(rows), *self._shape(name)), np.float32)
        for destination, (shard, row) in zip(maps, self._positions(rows), strict=True):
            reader = self._reader(shard)
            if name != IMAGE:
                reader = self._map_reader(name, shard)
            reader.read(row, destination)
        return maps

    def observations(self, rows: np.ndarray) -> list[Observation]:
        """Return images with their noise maps, masks and PSFs; errors as `read_map`."""
        return observations(self, row_numbers(rows, len(self)))

    def verified_digests(self, rows: np.ndarray) -> np.ndarray:
        """Check the shards of some rows, byte for byte, and hash the images of these rows.

        Each `ShardDataset` checks a shard only once. In a data set that still grows, the method
        waits until the shards of these rows are finished.

        Args:
            rows: Rows (N,) of the data set.

        Returns:
            Digests uint8 (N, 32), the sha256 of each image's pixels as little-endian
            float32 in C order. Exact copies of an image have the same digest, also in another
            data set, layout or lossless storage.

        Raises:
            VerificationError: A shard differs from what was written. The message names the
                shard and its HDF5 datasets.
            DataError: A shard is missing or cannot be read.
        """
        rows = row_numbers(rows, len(self))
        shards = {shard for shard, _ in self._positions(rows)}
        for shard in sorted(shards - self._verified):
            check_shard(self.location.path(shard), self.location.record(shard))
            self._verified.add(shard)
        digests = [np.empty((0, 32), np.uint8)]
        for start in range(0, len(rows), _ROWS_PER_HASH):
            images = self.read_map(IMAGE, rows[start : start + _ROWS_PER_HASH])
            digests.append(pixel_digests(images))
        return np.concatenate(digests)

    def read_batch(
        self, rows: np.ndarray, maps: Sequence[str], targets: Sequence[str]
    ) -> Batch:
        """Read the samples of the rows (N,), without the transform."""
        rows = row_numbers(rows, len(self))
        columns: Sample = {"image": torch.from_numpy(self.images(rows))}
        if self.labels is not None:
            columns["label"] = torch.from_numpy(self.labels[rows])
        columns["index"] = torch.from_numpy(self.index[rows])
        for name in maps:
            columns[name] = torch.from_numpy(self.read_map(name, rows))
        if targets:
            columns["target"] = torch.from_numpy(self.targets(targets, rows))
        return cast("Batch", columns)

    def __len__(self) -> int:
        return len(self.index)

    def _shape(self, name: str) -> tuple[int, ...]:
        """Return the shape (C, H, W) of a map."""
        is_image = name == IMAGE
        return self.info.image_shape if is_image else self._map_reader(name, 0).shape[1:]

    def _positions(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """Return for each row (N,) of the data set its shard and its row in that shard."""
        if self._rows is not None:
            rows = self._rows[rows]
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        rows_in_shards = rows - self._starts[shards]
        return list(zip(shards.tolist(), rows_in_shards.tolist(), strict=True))

    def _map_reader(self, name: str, shard: int) -> ContiguousReader:
        """Return the reader of a shard's maps, opened when it is first needed."""
        if (name, shard) not in self._map_readers:
            path = self.location.path(shard)
            record = self.location.record(shard)
            reader = map_reader(path, name, record, self.config_hash, self.location.cache)
            self._map_readers[name, shard] = reader
        return self._map_readers[name, shard]

    def _reader(self, shard: int) -> Reader:
        """Return the reader of a shard's images, opened when it is first needed."""
        reader = self._readers[shard]
        if reader is None:
            reader = self.location.reader(int(shard))
            self._readers[shard] = reader
        return reader
