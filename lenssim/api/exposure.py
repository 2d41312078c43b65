"""Simulated images in memory, as a notebook shows and keeps them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.api.pictures import Picture
from lenssim.api.table import Table

if TYPE_CHECKING:
    from lenssim.simulate.preset import Preset
    from lenssim.simulate.scenes import Scenes

__all__ = ["Exposure"]


@dataclass(frozen=True, repr=False)
class Exposure:
    """Simulated images of N samples, and what they were made from.

    Attributes:
        preset: The preset they were drawn from.
        noise: Kind of noise: nominal, none or published.
        seed: Seed of the random numbers.
        engine: Name of the engine that rendered them.
        numbers: Sample numbers (N,).
        scenes: The scenes.
        expected: Images (N, C, H, W) in e-/s without noise.
        observed: Images (N, C, H, W) with noise.

    Example:
        >>> import lenssim
        >>> exposure = lenssim.render("III", "axion", engine="lenstronomy")
        >>> exposure
        Exposure of III: 1 image of 1 x 64 x 64 (axion), noise nominal
        >>> exposure.params["theta_E"].round(3), exposure.params.units["theta_E"]
        (array([1.281]), 'arcsec')
    """

    preset: "Preset"
    noise: str
    seed: int
    engine: str
    numbers: np.ndarray
    scenes: "Scenes"
    expected: np.ndarray
    observed: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def classes(self) -> list[str]:
        """Name of each sample's class."""
        names = self.preset.class_names
        return [names[number % len(names)] for number in self.numbers.tolist()]

    @cached_property
    def params(self) -> Table:
        """The parameters of the scenes: columns (N,) by name, with their units.

        A column that no sample has, such as the axion's mass among other classes, is left out.
        """
        columns = {
            name: column
            for name, column in self.scenes.params.items()
            if np.isfinite(column).any()
        }
        return Table(columns, {name: self.scenes.unit(name) for name in columns})

    def show(self) -> Picture:
        """Draw the observed images side by side, each under its sample number."""
        from lenssim.data.inspection.contact_sheet import contact_sheet

        names = ", ".join(dict.fromkeys(self.classes))
        title = f"{self.preset.name}: {names}"
        return Picture(contact_sheet(self.observed, self.numbers, title))

    def save(self, path: Path | str, row: int = 0) -> Path:
        """Write one image into a file.

        Args:
            path: The file: .npy, .fits (with pixel scale, unit and parameters) or .png.
            row: Which of the N images.

        Returns:
            The path.

        Raises:
            ConfigError: The ending is none of these.
            StorageError: The file cannot be written.
        """
        from lenssim.data.exchange.fits_headers import image_cards
        from lenssim.data.exchange.image_writing import write_image

        cards = image_cards(self._config(row), self.observed.shape[-2:])
        params = {
            name: value
            for name, value in self.params.row(row).items()
            if np.isfinite(value)
        }
        header = {**self.facts(row), **params}
        write_image(Path(path), self.observed[row, 0], header, cards)
        return Path(path)

    def facts(self, row: int = 0) -> dict[str, Any]:
        """Return model, class, noise and seed of one of the images."""
        return {
            "model": self.preset.name,
            "class": self.classes[row],
            "noise": self.noise,
            "seed": self.seed,
        }

    def _config(self, row: int) -> dict[str, Any]:
        """Return what the header of a FITS file is made from."""
        import lenssim

        exposure_time = self.params.get("exposure_time")
        return {
            "preset": self.preset.model_dump(mode="json"),
            "exposure_time": None if exposure_time is None else float(exposure_time[row]),
            "noise": self.noise,
            "seed": self.seed,
            "engine": self.engine,
            "versions": {"lenssim": lenssim.__version__},
        }

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.observed.shape[1:]))
        names = ", ".join(dict.fromkeys(self.classes))
        plural = "" if len(self) == 1 else "s"
        return (
            f"Exposure of {self.preset.name}: {len(self)} image{plural} of {shape} "
            f"({names}), noise {self.noise}"
        )

    def _repr_png_(self) -> bytes:
        return self.show().png
