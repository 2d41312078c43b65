"""The table of what lies in a mosaic: lenses with their numbers, galaxies and stars."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lenssim.simulate.scenes import Scenes
from lenssim.simulate.wide.request import MosaicRequest
from lenssim.simulate.wide.sky import sky_position

__all__ = ["Truth"]

_NAMES = ("kind", "class", "number", "ra", "dec", "x", "y", "magnitude", "theta_E")
_NO_NUMBER = -1  # of what is no sample of the preset
_DARK = 40.0  # mag: from here on a component is none
_SAME_GALAXY = 0.05  # arcsec: parts of the light that share a middle


class Truth:
    """What lies in a mosaic, a row an object.

    Args:
        pixel_scale: Side of a pixel [arcsec].
        request: The mosaic.

    Attributes:
        columns: Columns by name: kind (lens, companion, galaxy or star), class and sample number of
            lenses (else -1), ra and dec [deg], x and y [pixels, from 0], magnitude in the first band
            (of a lens: that of its galaxy), theta_E [arcsec].
    """

    def __init__(self, pixel_scale: float, request: MosaicRequest) -> None:
        self._scale = pixel_scale
        self._request = request
        self.columns: dict[str, list[Any]] = {name: [] for name in _NAMES}

    def __len__(self) -> int:
        return len(self.columns["kind"])

    def count(self, kind: str) -> int:
        """Return the number of objects of a kind."""
        return self.columns["kind"].count(kind)

    def add_lenses(
        self,
        numbers: np.ndarray,
        classes: Sequence[str],
        scenes: Scenes,
        x: np.ndarray,
        y: np.ndarray,
    ) -> None:
        """Add lenses; x and y (N,) are the middles of their stamps."""
        center_x, center_y, magnitude = _galaxy(scenes)
        theta_E = scenes.params.get("theta_E", np.full(len(numbers), np.nan))
        lenses = {
            "kind": ["lens"] * len(numbers),
            "class": list(classes),
            "number": numbers.tolist(),
            "magnitude": magnitude.tolist(),
            "theta_E": np.asarray(theta_E).tolist(),
        }
        self._add(lenses, x + center_x / self._scale, y + center_y / self._scale)
        for rows, dx, dy, magnitudes in _companions(scenes, center_x, center_y):
            companions = {
                "kind": ["companion"] * len(rows),
                "class": [classes[row] for row in rows.tolist()],
                "number": numbers[rows].tolist(),
                "magnitude": magnitudes.tolist(),
                "theta_E": [np.nan] * len(rows),
            }
            places = (x[rows] + dx / self._scale, y[rows] + dy / self._scale)
            self._add(companions, *places)

    def add_objects(
        self, kind: str, x: np.ndarray, y: np.ndarray, magnitude: np.ndarray
    ) -> None:
        """Add galaxies or stars."""
        count = len(x)
        columns = {"kind": [kind] * count, "magnitude": magnitude.tolist()}
        empty = {"class": [""] * count, "number": [_NO_NUMBER] * count}
        self._add(columns | empty | {"theta_E": [np.nan] * count}, x, y)

    def _add(self, columns: dict[str, list[Any]], x: np.ndarray, y: np.ndarray) -> None:
        ra, dec = sky_position(self._request, self._scale, x, y)
        places = {"ra": ra, "dec": dec, "x": x, "y": y}
        columns = columns | {name: place.tolist() for name, place in places.items()}
        for name in _NAMES:
            self.columns[name] += columns[name]

    def csv_bytes(self) -> bytes:
        """Return the table as CSV; what does not apply is empty."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(_NAMES)
        for row in zip(*self.columns.values(), strict=True):
            cells = zip(_NAMES, row, strict=True)
            writer.writerow([_cell(name, value) for name, value in cells])
        return lines.getvalue().encode()


def _companions(
    scenes: Scenes, center_x: np.ndarray, center_y: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows, places [arcsec] and magnitudes of other galaxies in front, by component."""
    params = scenes.params
    for component in scenes.components:
        prefix = component.prefix
        if component.role != "lens_light" or f"{prefix}magnitude" not in params:
            continue
        dx = np.asarray(params.get(f"{prefix}center_x", 0 * center_x))
        dy = np.asarray(params.get(f"{prefix}center_y", 0 * center_y))
        magnitude = params[f"{prefix}magnitude"]
        is_apart = np.hypot(dx - center_x, dy - center_y) >= _SAME_GALAXY
        rows = np.flatnonzero(is_apart & (magnitude < _DARK))
        if len(rows):
            yield rows, dx[rows], dy[rows], magnitude[rows]


def _cell(name: str, value: Any) -> str:
    if name == "number" and value == _NO_NUMBER:
        return ""
    if isinstance(value, float):
        return f"{value:.9g}" if np.isfinite(value) else ""
    return str(value)


def _galaxy(scenes: Scenes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the middle [arcsec] and magnitude (N,) of each lens galaxy, of its mass if dark."""
    params = scenes.params
    count = len(scenes)
    lights = [c.prefix for c in scenes.components if c.role == "lens_light"]
    lights = [prefix for prefix in lights if f"{prefix}magnitude" in params]
    masses = [c.prefix for c in scenes.components if c.role == "lens"]
    middle = next(iter([*lights, *masses]), "")
    zeros = np.zeros(count)
    center_x = np.asarray(params.get(f"{middle}center_x", zeros))
    center_y = np.asarray(params.get(f"{middle}center_y", zeros))
    flux = np.zeros(count)
    for prefix in lights:
        distance = np.hypot(
            params.get(f"{prefix}center_x", zeros) - center_x,
            params.get(f"{prefix}center_y", zeros) - center_y,
        )
        part = 10 ** (-0.4 * params[f"{prefix}magnitude"])
        flux += np.where(distance < _SAME_GALAXY, part, 0)
    with np.errstate(divide="ignore"):
        return center_x, center_y, np.where(flux > 0, -2.5 * np.log10(flux), np.nan)
