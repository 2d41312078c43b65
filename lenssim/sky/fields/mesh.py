"""The background of a wide field on a mesh, as SExtractor measures and interpolates it.

Each mesh is measured alone by sep, and only the numbers of the meshes are kept. So a field of
any size takes little memory, and any part of it has the background that the whole has.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lenssim.errors import DataError

__all__ = ["BackgroundMesh", "measured_mesh"]

_FEWEST_GOOD = 0.5  # of the pixels of a mesh
_INVALID = -1e29  # sep's number of a mesh without pixels


@dataclass(frozen=True)
class BackgroundMesh:
    """Background and rms in the middle of each mesh.

    Attributes:
        side: Side of a mesh in pixels.
        level: Background (ny, nx) after the median filter.
        rms: Rms (ny, nx) after the median filter.
    """

    side: int
    level: np.ndarray
    rms: np.ndarray

    def background(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the background float64 (H, W) of a part of the field."""
        return _interpolated(self.level, self.side, rows, columns)

    def sigma(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the rms float64 (H, W) of a part of the field."""
        return _interpolated(self.rms, self.side, rows, columns)


def measured_mesh(
    read: Callable[[slice], tuple[np.ndarray, np.ndarray]],
    shape: tuple[int, int],
    side: int,
) -> BackgroundMesh:
    """Measure background and rms by clipped statistics in each mesh.

    Meshes with too few good pixels take the numbers of the nearest good one. A median filter
    over 3 x 3 meshes follows.

    Args:
        read: Returns some rows of the field, and which of their pixels are masked, (H, W).
        shape: Shape of the field.
        side: Side of a mesh in pixels.

    Raises:
        DataError: No mesh has enough good pixels.
    """
    counts = [-(-length // side) for length in shape]
    level = np.full(counts, np.nan)
    rms = np.full(counts, np.nan)
    for row in range(counts[0]):
        strip, masked = read(slice(row * side, min((row + 1) * side, shape[0])))
        for column in range(counts[1]):
            extent = slice(column * side, (column + 1) * side)
            level[row, column], rms[row, column] = _of_mesh(
                strip[:, extent], masked[:, extent], side
            )
    if np.isnan(level).all():
        raise DataError(
            "the field has no mesh of the background with enough good pixels: all is masked, "
            "or --mesh is too large",
            code="all-masked",
        )
    return BackgroundMesh(side, _filtered(_nearest(level)), _filtered(_nearest(rms)))


def _of_mesh(pixels: np.ndarray, masked: np.ndarray, side: int) -> tuple[float, float]:
    """Return background and rms of one mesh; NaN where too few pixels are good."""
    import sep

    if masked.mean() > _FEWEST_GOOD:
        return np.nan, np.nan
    mesh = sep.Background(
        np.ascontiguousarray(pixels),
        mask=np.ascontiguousarray(masked),
        bw=side,
        bh=side,
        fw=1,
        fh=1,
    )
    if mesh.globalback < _INVALID:
        return np.nan, np.nan
    return mesh.globalback, mesh.globalrms


def _nearest(values: np.ndarray) -> np.ndarray:
    """Return numbers with NaN replaced by the nearest number."""
    from scipy.ndimage import distance_transform_edt

    missing = np.isnan(values)
    if not missing.any():
        return values
    places = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return values[tuple(places)]


def _filtered(values: np.ndarray) -> np.ndarray:
    """Return medians over 3 x 3 meshes; at an edge the window is one mesh wide across it."""
    filtered = np.empty_like(values)
    height, width = values.shape
    for row in range(height):
        reach = min(1, row, height - 1 - row)
        rows = slice(row - reach, row + reach + 1)
        for column in range(width):
            across = min(1, column, width - 1 - column)
            window = values[rows, column - across : column + across + 1]
            filtered[row, column] = np.median(window)
    return filtered


def _interpolated(values: np.ndarray, side: int, rows: slice, columns: slice) -> np.ndarray:
    """Return the bicubic spline through the middles of meshes.

    SExtractor counts rows from the edge of a pixel, and columns from its middle. A single row
    of meshes it interpolates by lines.
    """
    y = np.arange(rows.start, rows.stop) / side - 0.5
    x = (np.arange(columns.start, columns.stop) + 0.5) / side - 0.5
    lines = _spline(values, y)
    return _spline(lines.T, x, is_linear=len(values) == 1).T


def _spline(
    values: np.ndarray, places: np.ndarray, *, is_linear: bool = False
) -> np.ndarray:
    """Return values (n, m) along the first axis at places (k,), counted in nodes: (k, m)."""
    count = len(values)
    if count == 1:
        return np.repeat(values, len(places), axis=0)
    curvature = np.zeros_like(values) if is_linear else _curvature(values)
    nodes = np.clip(np.floor(places), 0, count - 2).astype(np.int64)
    high = (places - nodes)[:, None]
    low = 1 - high
    return low * (values[nodes] + (low**2 - 1) * curvature[nodes]) + high * (
        values[nodes + 1] + (high**2 - 1) * curvature[nodes + 1]
    )


def _curvature(values: np.ndarray) -> np.ndarray:
    """Return the second derivatives (n, m) over 6 that SExtractor's spline has at its nodes.

    Its back substitution divides by 6 at every step, so that this is nearly, and not exactly,
    the natural spline.
    """
    factors = np.zeros(len(values))
    sums = np.zeros_like(values)
    for node in range(1, len(values) - 1):
        factors[node] = -1 / (factors[node - 1] + 4)
        bend = values[node + 1] + values[node - 1] - 2 * values[node]
        sums[node] = factors[node] * (sums[node - 1] - 6 * bend)
    curvature = np.zeros_like(values)
    for node in range(len(values) - 2, 0, -1):
        curvature[node] = (factors[node] * curvature[node + 1] + sums[node]) / 6
    return curvature
