"""Simulated images in memory, as a notebook shows and keeps them."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.api.arguments import checked
from lenssim.api.pictures import Picture
from lenssim.api.table import Table
from lenssim.data.format.bands import shape_words

if TYPE_CHECKING:
    from lenssim.simulate.pipeline import Exposure as SimulatedExposure
    from lenssim.simulate.scenes import Scenes

__all__ = ["Exposure"]


class Exposure:
    """Simulated images of N samples, and what they were made from.

    Args:
        simulated: What the pipeline returned.

    Example:
        >>> import lenssim
        >>> exposure = lenssim.render("III", "axion", engine="lenstronomy")
        >>> exposure
        Exposure of III: 1 image of 1 x 64 x 64 (axion), noise nominal
        >>> exposure.params["theta_E"].round(3), exposure.params.units["theta_E"]
        (array([1.281]), 'arcsec')
    """

    def __init__(self, simulated: "SimulatedExposure") -> None:
        self.simulated = simulated
        self.spec = simulated.spec

    @property
    def numbers(self) -> np.ndarray:
        """Sample numbers (N,)."""
        return self.simulated.numbers

    @property
    def scenes(self) -> "Scenes":
        """The scenes that were drawn."""
        return self.simulated.scenes

    @property
    def expected(self) -> np.ndarray:
        """Images (N, C, H, W) in e-/s without noise, in the engine's precision."""
        return self.simulated.expected

    @property
    def observed(self) -> np.ndarray:
        """Images float32 (N, C, H, W) with noise."""
        return self.simulated.observed

    @property
    def images(self) -> np.ndarray:
        """The observed images; without noise, in the engine's precision."""
        if self.spec.noise == "none":
            return self.expected
        return self.observed

    @property
    def sigma(self) -> np.ndarray:
        """Standard deviation of the noise in each pixel, (N, C, H, W)."""
        return self.simulated.sigma

    @property
    def classes(self) -> list[str]:
        """Name of each sample's class."""
        names = self.spec.preset.class_names
        return [names[label] for label in self.simulated.labels.tolist()]

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands C; empty for a camera of one band without a name."""
        return self.spec.preset.instrument.band_names

    def __len__(self) -> int:
        return len(self.numbers)

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
        title = f"{self.spec.preset.name}: {names}"
        return Picture(contact_sheet(self.observed, self.numbers, title))

    @checked
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

        images = self.images
        params = self.finite_params(row)
        config = self.spec.config() | {"exposure_time": params.get("exposure_time")}
        cards = image_cards(config, images.shape[-2:])
        header = {**self.facts(row), **params}
        write_image(Path(path), images[row], header, cards)
        return Path(path)

    def finite_params(self, row: int = 0) -> dict[str, float]:
        """Return the parameters that one of the scenes has, by name."""
        params = self.params.row(row)
        return {name: value for name, value in params.items() if np.isfinite(value)}

    def facts(self, row: int = 0) -> dict[str, Any]:
        """Return model, class, noise and seed of one of the images."""
        return {
            "model": self.spec.preset.name,
            "class": self.classes[row],
            "noise": self.spec.noise,
            "seed": self.spec.seed,
        }

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(self.classes))
        shape = shape_words(self.observed.shape[1:], self.bands)
        plural = "" if len(self) == 1 else "s"
        return (
            f"Exposure of {self.spec.preset.name}: {len(self)} image{plural} of {shape} "
            f"({names}), noise {self.spec.noise}"
        )

    def _repr_png_(self) -> bytes:
        return self.show().png
