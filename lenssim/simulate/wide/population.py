"""Field galaxies and stars: how many, how bright, how large. All numbers are assumed.

Counts rise by 0.35 dex a magnitude for galaxies, and by 0.12 dex for stars. Discs have n = 1
and ellipticals n = 4. Sizes shrink with brightness and scatter by 0.2 dex.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lenssim.simulate.streams import FIELD, generator
from lenssim.simulate.wide.request import MosaicRequest

__all__ = ["CELL", "FieldObjects", "field_objects"]

CELL = 512  # pixels
_GALAXY_SLOPE = 0.35  # dex a magnitude
_GALAXY_LIMITS = (18.0, 26.5)  # mag
_GALAXY_PIVOT = 25.0  # mag: counts are stated down to it
_STAR_SLOPE = 0.12
_STAR_LIMITS = (17.0, 25.0)
_ELLIPTICALS = 0.3
_RADIUS = (0.6, -0.15)  # arcsec at 21 mag, and dex a magnitude
_RADIUS_SCATTER = 0.2  # dex
_RADIUS_LIMITS = (0.05, 5.0)
_ELLIPTICITY = 0.2
_LARGEST_ELLIPTICITY = 0.6
_COLOURS = (0.1, 0.7)  # mag from one band to the next bluer one


@dataclass(frozen=True)
class FieldObjects:
    """Galaxies or stars of one cell of a field.

    Attributes:
        kind: "galaxy" or "star".
        x: Columns (n,) of the field, counted from 0 in the middle of the first pixel.
        y: Rows (n,).
        magnitude: Magnitudes (n,) in the first band.
        columns: Sersic columns (n,) of galaxies by name.
        redness: Magnitudes (n,) by which a band is brighter than the one before it.
    """

    kind: str
    x: np.ndarray
    y: np.ndarray
    magnitude: np.ndarray
    columns: dict[str, np.ndarray]
    redness: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


def field_objects(request: MosaicRequest, pixel_scale: float) -> Iterator[FieldObjects]:
    """Yield the galaxies and the stars of each cell of a field.

    A cell has its own random stream, so that a larger field has the same objects.

    Args:
        request: Size and densities of the field.
        pixel_scale: Side of a pixel [arcsec].
    """
    cells = range(-(-request.size // CELL))
    area = (CELL * pixel_scale / 60) ** 2
    for row in cells:
        for column in cells:
            for number, kind in enumerate(("galaxy", "star")):
                rng = generator(request.seed, request.split, FIELD, row, column, number)
                density = request.galaxies if kind == "galaxy" else request.stars
                objects = _of_cell(kind, rng, density * area)
                yield _placed(objects, row, column, request.size)


def _placed(objects: FieldObjects, row: int, column: int, size: int) -> FieldObjects:
    """Return the objects at their places in the field, without those beyond its edge."""
    x = objects.x + column * CELL
    y = objects.y + row * CELL
    is_inside = (x < size - 0.5) & (y < size - 0.5)
    return FieldObjects(
        objects.kind,
        x[is_inside],
        y[is_inside],
        objects.magnitude[is_inside],
        {name: values[is_inside] for name, values in objects.columns.items()},
        objects.redness[is_inside],
    )


def _of_cell(kind: str, rng: np.random.Generator, density: float) -> FieldObjects:
    """Return the objects of a cell with so many of them in the mean, down to the pivot."""
    limits, slope = _GALAXY_LIMITS, _GALAXY_SLOPE
    expected = density * 10 ** (slope * (limits[1] - _GALAXY_PIVOT))
    if kind == "star":
        limits, slope = _STAR_LIMITS, _STAR_SLOPE
        expected = density
    count = int(rng.poisson(expected))
    x, y = rng.uniform(-0.5, CELL - 0.5, (2, count))
    low, high = 10 ** (slope * np.array(limits))
    magnitude = np.log10(rng.uniform(low, high, count)) / slope
    redness = rng.uniform(*_COLOURS, count)
    columns = {}
    if kind == "galaxy":
        columns = _shapes(rng, magnitude)
    return FieldObjects(kind, x, y, magnitude, columns, redness)


def _shapes(rng: np.random.Generator, magnitude: np.ndarray) -> dict[str, np.ndarray]:
    """Return the Sersic columns of galaxies of some magnitudes."""
    count = len(magnitude)
    size = np.log10(_RADIUS[0]) + _RADIUS[1] * (magnitude - 21.0)
    size = size + rng.normal(0, _RADIUS_SCATTER, count)
    n_sersic = np.where(rng.uniform(size=count) < _ELLIPTICALS, 4.0, 1.0)
    e1, e2 = rng.normal(0, _ELLIPTICITY, (2, count))
    shrink = np.minimum(1, _LARGEST_ELLIPTICITY / np.hypot(e1, e2).clip(min=1e-9))
    return {
        "R_sersic": np.clip(10**size, *_RADIUS_LIMITS),
        "n_sersic": n_sersic,
        "e1": e1 * shrink,
        "e2": e2 * shrink,
    }
