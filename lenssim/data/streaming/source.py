"""What training and figures may ask of a source of images, and torch's protocol for it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired, Protocol, SupportsIndex, TypedDict, cast, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from lenssim.data.format.spec import GenerationSpec, spec_of
from lenssim.data.streaming.labels import labels_of
from lenssim.data.streaming.reading_order import ReadingOrder
from lenssim.rows import row_numbers

__all__ = [
    "Batch",
    "ImageSource",
    "ReadingOrder",
    "Sample",
    "SampleDataset",
    "Transform",
    "labels_of",
]

Sample = dict[str, Tensor]
Transform = Callable[[Tensor], Any]


class Batch(TypedDict):
    """N samples, one tensor a column.

    Attributes:
        image: Images float32 (N, C, H, W), in e-/s.
        index: Sample numbers int64 (N,).
        label: Labels int64 (N,), where they are known.
        target: True parameters float64 (N, T), where they were asked for.
        clean: Noise-free images float32 (N, C, H, W), where they were asked for.
        kappa: Convergences float32 (N, 1, H, W), where they were asked for.
        residual: Residuals of smooth lenses, where they were asked for.
        arcs: Light of the sources alone float32 (N, C, H, W), where it was asked for.
        sigma: Noise maps float32 (N, C, H, W), where they were asked for.
        hr: Images of a finer resolution, where they were asked for.
    """

    image: Tensor
    index: Tensor
    label: NotRequired[Tensor]
    target: NotRequired[Tensor]
    clean: NotRequired[Tensor]
    kappa: NotRequired[Tensor]
    residual: NotRequired[Tensor]
    arcs: NotRequired[Tensor]
    sigma: NotRequired[Tensor]
    hr: NotRequired[Tensor]


class ImageSource(Protocol):
    """Images with their sample numbers and, where known, their labels.

    Data sets on disk, behind a URL or still growing are sources, and so are live ones.
    """

    @property
    def name(self) -> str:
        """A short name for titles."""

    @property
    def folder(self) -> Path:
        """Where it is stored, for messages."""

    @property
    def config(self) -> dict[str, Any]:
        """What its bits depend on."""

    @property
    def spec(self) -> GenerationSpec | None:
        """The specification of its simulation; None for imported images."""

    @property
    def config_hash(self) -> str:
        """The sha256 of the config."""

    @property
    def picture(self) -> str:
        """The name of the map that stands for the images."""

    @property
    def fingerprint(self) -> str:
        """64 hex digits over its contents, or over what they follow from."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by label; empty where nobody knows the labels."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, C of them; empty where they have none."""

    @property
    def pixel_scale(self) -> float | None:
        """The pixel scale in arcsec; None where it is not known."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    @property
    def index(self) -> np.ndarray:
        """Sample numbers (n,)."""

    @property
    def labels(self) -> np.ndarray | None:
        """Labels (n,); None where nobody knows them."""

    @property
    def order(self) -> ReadingOrder:
        """The order in which it is cheap to read."""

    columns: tuple[str, ...]
    maps: tuple[str, ...]

    def __len__(self) -> int: ...

    def rows(self, split: str | None = None) -> np.ndarray:
        """Return the rows of a split; all rows for None."""

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return the images float32 (N, C, H, W) of the rows (N,)."""

    def targets(self, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Return true parameters float64 (N, T); `KeyError` for an unknown name."""

    def batch(
        self,
        rows: np.ndarray | Sequence[int],
        *,
        maps: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
    ) -> Batch:
        """Return the samples of the rows (N,) with the maps and targets of these names."""


class SampleDataset(Dataset[Sample], ABC):
    """A source of images as torch's loaders expect it: a list of samples.

    A subclass reads many rows at once in `read_batch`; all else follows. `dataset[5]` is a
    sample, a dict of tensors. `dataset[-1]` is the last one. `dataset[:5]` and
    `dataset[[3, 1]]` are `torch.utils.data.Subset`s. `batch` gives finished batches.

    Attributes:
        maps: Names of the maps that come along with every sample.
        columns: Names of the true parameters that come along, as `target`.
        transform: Applied to the image (C, H, W) of every sample; None for none.
    """

    maps: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    transform: Transform | None = None
    config: dict[str, Any]

    @cached_property
    def spec(self) -> GenerationSpec | None:
        """The specification of its simulation; None for imported images."""
        return spec_of(self.config)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read_batch(
        self, rows: np.ndarray, maps: Sequence[str], targets: Sequence[str]
    ) -> Batch:
        """Read the samples of the rows (N,), without the transform."""

    def checked_rows(self, rows: Sequence[SupportsIndex] | np.ndarray) -> np.ndarray:
        """Return rows (N,) that count from 0; those below 0 count from the end.

        Raises:
            RowError: A row lies outside the data set; it is an `IndexError` too.
        """
        return row_numbers(rows, len(self), from_end=True)

    def batch(
        self,
        rows: np.ndarray | Sequence[int],
        *,
        maps: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
    ) -> Batch:
        """Return the samples of some rows as one batch.

        Args:
            rows: Rows (N,) of the data set, from 0.
            maps: Names of maps that come along; those of the data set by default.
            targets: Names of true parameters that come along as `target` (N, T); those of
                the data set by default.

        Returns:
            The columns of the batch, each with N entries.
        """
        batch = self.read_batch(
            self.checked_rows(rows),
            self.maps if maps is None else maps,
            self.columns if targets is None else targets,
        )
        if self.transform is not None:
            images = [torch.as_tensor(self.transform(image)) for image in batch["image"]]
            batch["image"] = torch.stack(images)
        return batch

    @overload
    def __getitem__(self, row: int) -> Sample: ...
    @overload
    def __getitem__(self, row: slice | Sequence[int]) -> Subset[Sample]: ...
    def __getitem__(self, row: Any) -> Sample | Subset[Sample]:
        if isinstance(row, slice):
            return Subset(self, range(*row.indices(len(self))))
        if np.ndim(row) == 1:
            return Subset(self, self.checked_rows(row).tolist())
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[SupportsIndex]) -> list[Sample]:
        """Return the samples of some rows: views into one batch, which is read at once."""
        batch = self.read_batch(self.checked_rows(rows), self.maps, self.columns)
        columns = cast("Sample", batch)
        entries = zip(*(column.unbind() for column in columns.values()), strict=True)
        samples = [dict(zip(columns, entry, strict=True)) for entry in entries]
        if self.transform is not None:
            for sample in samples:
                sample["image"] = self.transform(sample["image"])
        return samples
