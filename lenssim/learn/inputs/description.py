"""Description of the images that a network is built for."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lenssim.data.format.bands import shape_words
from lenssim.data.format.maps import parts_of
from lenssim.data.streaming.source import ImageSource
from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.preset import Preset
from lenssim.simulate.scenes import Scenes

__all__ = ["ImageDescription", "describe"]

_REDSHIFTS = ("z_lens", "z_source", "z_source_convention")
_SCENES = 256  # drawn to find the sizes of the rings


@dataclass(frozen=True)
class ImageDescription:
    """Shape, pixel scale and Einstein radii of images.

    Attributes:
        shape: Bands, rows and columns (C, H, W).
        pixel_scale: Size of a pixel in arcsec, None if unknown.
        theta_E: Smallest and largest Einstein radius in arcsec, for the source at its own redshift.
            None if unknown.
        bands: Names of the bands; empty where they have none.
        parts: Number of maps whose bands follow one another, such as an image and its noise map.

    Example:
        >>> ImageDescription((1, 64, 64), pixel_scale=0.05).pixel_scale
        0.05
    """

    shape: tuple[int, int, int]
    pixel_scale: float | None = None
    theta_E: tuple[float, float] | None = None
    bands: tuple[str, ...] = ()
    parts: int = 1

    @property
    def first_part(self) -> "ImageDescription":
        """The first of the maps alone."""
        if self.parts == 1:
            return self
        channels, height, width = self.shape
        return replace(self, shape=(channels // self.parts, height, width), parts=1)

    def __str__(self) -> str:
        return shape_words(self.shape, self.bands)


def describe(dataset: ImageSource) -> ImageDescription:
    """Describe the images of a data set.

    Einstein radii are known for simulated images. The radii are those of the first
    256 samples, and of the first lens that has one.

    Args:
        dataset: The data set.

    Returns:
        The description.
    """
    spec = dataset.spec
    layout: dict[str, Any] = {"bands": dataset.bands}
    layout["parts"] = len(parts_of(dataset.picture))
    if spec is None:
        return ImageDescription(dataset.image_shape, dataset.pixel_scale, **layout)
    numbers = np.asarray(dataset.index[:_SCENES])
    try:
        scenes = draw(spec.preset, numbers, seed=spec.seed, split=spec.split)
        radii = _radius_range(scenes)
    except ConfigError as error:
        if error.code not in ("galaxies-missing", "lens-table-missing"):
            raise
        radii = _stored_range(dataset, spec.preset)
    pixel_scale = spec.preset.instrument.pixel_scale
    return ImageDescription(dataset.image_shape, pixel_scale, radii, **layout)


def _stored_range(dataset: ImageSource, preset: Preset) -> tuple[float, float] | None:
    """Return the range of the Einstein radii that a data set keeps of its first lens.

    A data set does not say where the galaxies of its sources are, so it may not be drawn again.
    """
    rows = np.arange(min(len(dataset), _SCENES))
    columns: dict[str, np.ndarray] = {}
    for name in ("theta_E", *_REDSHIFTS):
        with suppress(KeyError):
            columns[name] = dataset.targets((name,), rows)[:, 0]
    if "theta_E" not in columns:
        return None
    radii = columns.pop("theta_E")
    radii = radii * Scenes((), columns, cosmology=preset.cosmology).deflection_scale()
    return float(radii.min()), float(radii.max())


def _radius_range(scenes: Scenes) -> tuple[float, float] | None:
    """Return the range of the Einstein radii of the first lens that has one."""
    lenses = [component for component in scenes.components if component.role == "lens"]
    for lens in lenses:
        name = lens.prefix + "theta_E"
        if name in scenes.params:
            radii = scenes.params[name] * scenes.deflection_scale()
            return float(radii.min()), float(radii.max())
    return None
