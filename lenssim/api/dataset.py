"""Data sets from Python: tables, images, splits, loaders and contact sheets."""

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np

from lenssim.api.arguments import Between, checked
from lenssim.api.loader import Loader
from lenssim.api.pictures import Pictures
from lenssim.api.sheets import draw_sheets
from lenssim.api.table import Table
from lenssim.api.verification import verified
from lenssim.data.format.bands import shape_words
from lenssim.errors import ConfigError
from lenssim.rows import row_numbers

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Manifest
    from lenssim.data.inspection.class_images import Report
    from lenssim.data.inspection.verification import Report as VerificationReport
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.data.streaming.observations import Observation
    from lenssim.data.streaming.source import Sample

__all__ = ["Dataset"]

Rows = Any  # whole numbers from 0, a range, a slice or a mask


class Dataset:
    """A data set, or the samples of one of its splits.

    It is a map-style data set for `torch.utils.data.DataLoader`: an item is a dictionary of
    `image` float32 (C, H, W), `label` and `index`.

    Args:
        folder: Folder or URL of the data set; `follow:` and a folder for one that still grows.
        split: Only this split's samples: train, validation or test.

    Raises:
        DataError: There is no data set, or a shard is missing or damaged.
        ConfigError: There is no such split.

    Example:
        >>> data = Dataset("data/III")
        >>> data.classes
        ('no_sub', 'cdm', 'axion')
        >>> data.params["theta_E"].shape, data.params.units["theta_E"]
        ((300,), 'arcsec')
        >>> data.split("test")
        Dataset data/III, test: 64 images of 1 x 64 x 64 (no_sub 22, cdm 21, axion 21), noise nominal
    """

    @checked
    def __init__(self, folder: Path | str, split: str | None = None) -> None:
        self._begin(folder, split)
        _ = self.rows  # opens it, so that what is wrong is said here

    def _begin(self, place: Path | str, split: str | None) -> None:
        self._place = place
        self.split_name = split

    @classmethod
    def just_made(cls, folder: Path, manifest: "Manifest") -> Self:
        """Return a data set that this process has sealed.

        It is opened at its first use, because torch takes seconds to import.

        Args:
            folder: Its folder.
            manifest: Its manifest.
        """
        data = cls.__new__(cls)
        data._begin(folder, None)
        data.manifest = manifest
        return data

    @cached_property
    def source(self) -> "ShardDataset":
        """The `lenssim.data.ShardDataset` that reads the files."""
        from lenssim.data.streaming.dataset import ShardDataset

        return ShardDataset(self._place)

    @cached_property
    def manifest(self) -> "Manifest":
        """The manifest, which lists the shards."""
        return self.source.manifest

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows (n,) of the samples in the source."""
        return self.source.rows(self.split_name)

    @property
    def folder(self) -> Path:
        """Where the data set lies."""
        return Path(self.source.folder)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.source.classes

    @property
    def labels(self) -> np.ndarray | None:
        """Labels (n,), int64; None where nobody knows them."""
        labels: np.ndarray | None = self.source.labels
        return None if labels is None else labels[self.rows]

    @property
    def index(self) -> np.ndarray:
        """Sample numbers (n,), int64."""
        return self.source.index[self.rows]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Bands, rows and columns of an image: (C, H, W)."""
        return self.source.image_shape

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands C; empty where they have none."""
        return self.source.bands

    @property
    def fingerprint(self) -> str:
        """64 hex digits over all contents of the data set."""
        return self.source.fingerprint

    @property
    def pixel_scale(self) -> float | None:
        """Size of a pixel in arcsec; None where it is not known."""
        return self.source.pixel_scale

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of samples of each class; empty where nobody knows them."""
        if self.labels is None:
            return {}
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    @cached_property
    def params(self) -> Table:
        """The true parameters: columns (n,) by name, with their units."""
        return Table(self.source.params, self._units()).take(self.rows)

    def _units(self) -> dict[str, str]:
        """Return the units that the first shard states."""
        from lenssim.data.streaming.opening import open_recorded

        place = self.source.location
        with open_recorded(place.path(0), place.record(0), self.source.config_hash) as file:
            group = file.get("params", {})
            return {
                name: str(group[name].attrs["units"])
                for name in group
                if "units" in group[name].attrs
            }

    @checked
    def images(self, rows: Rows, picture: str = "image") -> np.ndarray:
        """Read images.

        Args:
            rows: Numbers of the samples in this data set, from 0; a range, slice or mask too.
            picture: What to read: `image`, or `clean`, `kappa` or `residual` if it is kept.

        Returns:
            Images float32 (N, C, H, W), in e-/s where they were simulated.

        Raises:
            DataError: A shard is missing or damaged.
            ConfigError: The data set keeps no such picture.
        """
        from lenssim.data.format.maps import check_kept

        check_kept(self.folder, self.source.config, picture)
        numbers = row_numbers(rows, len(self), from_end=True)
        return self.source.read_map(picture, self.rows[numbers])

    @checked
    def observations(self, rows: Rows) -> "list[Observation]":
        """Return images with all that a fit needs: noise map, mask, PSF and pixel scale.

        Args:
            rows: Numbers of the samples in this data set, from 0; a range, slice or mask too.

        Returns:
            A record for each image; see `lenssim.data.Observation`.

        Raises:
            DataError: A shard is missing or damaged.

        Example:
            >>> first = Dataset("data/III").observations([0])[0]
            >>> first.image.shape, first.pixel_scale, first.psf[0].sum().round(6)
            ((1, 64, 64), 0.08, np.float64(1.0))
        """
        numbers = row_numbers(rows, len(self), from_end=True)
        return self.source.observations(self.rows[numbers])

    @checked
    def split(self, name: str) -> "Dataset":
        """Return the samples of a split.

        Args:
            name: train, validation or test.

        Raises:
            ConfigError: There is no such split, or this is a split already.
        """
        if self.split_name is not None:
            raise ConfigError(
                f"{self.folder}, {self.split_name}: this is a split already",
                code="whole-data-needed",
                folder=self.folder,
                split_name=self.split_name,
            )
        part = object.__new__(Dataset)
        part._begin(self._place, name)
        part.source = self.source
        _ = part.rows  # says which splits there are
        return part

    @checked
    def loader(
        self,
        split: str | None = None,
        batch_size: Annotated[int, Between(1, 2**24)] = 64,
        *,
        shuffle: bool = True,
        seed: Annotated[int, Between(0, 2**63 - 1)] = 0,
        workers: Annotated[int, Between(0, 256)] = 0,
    ) -> Loader:
        """Return batches for a training loop.

        Args:
            split: Only this split's samples: train, validation or test.
            batch_size: Images of a batch; the last one may have fewer.
            shuffle: Whether each epoch has an order of its own.
            seed: Seed of the orders.
            workers: Threads that read ahead.

        Raises:
            ConfigError: A value cannot be, or there is no such split.

        Example:
            >>> batch = next(iter(Dataset("data/III").loader("train", 32)))
            >>> batch["image"].shape
            torch.Size([32, 1, 64, 64])
        """
        part = self if split is None else self.split(split)
        return Loader(
            part.source, part.rows, batch_size, shuffle=shuffle, seed=seed, workers=workers
        )

    @checked
    def show(
        self, count: int = 25, picture: str = "image", *, report: "Report | None" = None
    ) -> Pictures:
        """Draw a contact sheet of each class.

        Args:
            count: Images a class.
            picture: What to draw: `image`, or `clean`, `kappa` or `residual` if it is kept.
            report: Called with the error of each damaged shard, whose images are left out;
                None: it is raised.

        Returns:
            A picture for each class. `.save(folder)` writes them.

        Raises:
            ConfigError: A sheet shows 1 to 400 images, or there is no such picture.
            VerificationError: A shard does not hold what was written.
        """
        numbers = None
        if self.split_name is not None:
            numbers = self.index
        return draw_sheets(
            self.source.location, self.folder, count, picture, numbers, report
        )

    @checked
    def verify(
        self,
        *,
        fast: bool = False,
        resimulate: int = 0,
        galaxies: Path | str | None = None,
        background: Path | str | None = None,
        lenses: Path | str | None = None,
    ) -> "VerificationReport":
        """Check that the data set holds what was written; see `lenssim.verify`."""
        places = {"galaxies": galaxies, "background": background, "lenses": lenses}
        return verified(self.folder, fast=fast, resimulate=resimulate, **places)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> "Sample":
        (number,) = row_numbers([row], len(self), from_end=True)
        return self.source[int(self.rows[number])]

    def __repr__(self) -> str:
        shape = shape_words(self.image_shape, self.bands)
        counts = ", ".join(f"{k} {v}" for k, v in self.class_counts.items()) or "no labels"
        split = f", {self.split_name}" if self.split_name else ""
        spec = self.source.spec
        remark = f", noise {spec.noise}" if spec else ""
        return f"Dataset {self.folder}{split}: {len(self)} images of {shape} ({counts}){remark}"

    def _repr_html_(self) -> str:
        spec = self.source.spec
        facts: dict[str, Any] = {
            "folder": self.folder,
            "images": f"{len(self)} of {shape_words(self.image_shape, self.bands)}",
            "classes": ", ".join(f"{k} {v}" for k, v in self.class_counts.items()),
            "split": self.split_name,
            "pixel scale [arcsec]": self.pixel_scale,
            "noise": spec and spec.noise,
            "seed": spec and spec.seed,
            "fingerprint": self.fingerprint[:16],
        }
        lines = [
            f"<tr><th>{escape(name)}</th><td>{escape(str(fact))}</td></tr>"
            for name, fact in facts.items()
            if fact is not None
        ]
        return f"<table>{''.join(lines)}</table>"
