"""Detection in one tile of a field: blobs above a threshold, deblended, with apertures.

A blob belongs to the tile that holds its first pixel. Its tile sees it whole: where it reaches
beyond the margin, a larger window is read. So objects do not depend on tiles.
"""

from collections.abc import Iterator

import numpy as np

from lenssim.sky.fields.blobs import Blobs
from lenssim.sky.fields.field import WideField, Window
from lenssim.sky.fields.filtering import (
    REACH,
    FilteredWindow,
    Settings,
    filtered_window,
)
from lenssim.sky.fields.mesh import BackgroundMesh

__all__ = ["detect_objects"]

_MARGIN = 64  # pixels around a tile; larger blobs are read again
_CORE = 2.0  # radius of a core in sigmas of the filter


def detect_objects(
    field: WideField, meshes: list[BackgroundMesh], core: Window, settings: Settings
) -> dict[str, np.ndarray]:
    """Return the objects whose blob begins in a tile.

    Args:
        field: The field.
        meshes: The background of each band.
        core: The tile.
        settings: Lengths.

    Returns:
        Columns (n,) by name: x, y (from 0), core (brightness in rms), flux and error of each
        band (n, C), a, b, theta, area, saturated, at_edge, masked (share of the aperture).
    """
    parts = list(_parts(field, meshes, core, settings, _MARGIN + settings.guard))
    names = parts[0]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return {name: _rounded(name, column) for name, column in columns.items()}


def _rounded(name: str, column: np.ndarray) -> np.ndarray:
    """Return a column without the last digits, which depend on the corner of the window."""
    if name in ("x", "y"):
        return np.round(column, 6)
    if column.dtype == bool:
        return column
    return column.astype(np.float32).astype(np.float64)


def _parts(
    field: WideField,
    meshes: list[BackgroundMesh],
    core: Window,
    settings: Settings,
    margin: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the objects of the blobs that a window holds whole, then those of larger ones."""
    sky = filtered_window(field, meshes, core.grown(margin, field.shape), settings)
    blobs = Blobs(sky, field.shape, core, settings)
    yield _measured(blobs.objects(), sky, settings)
    beginnings = blobs.cut
    while beginnings:
        margin *= 2
        sky = filtered_window(field, meshes, core.grown(margin, field.shape), settings)
        blobs = Blobs(sky, field.shape, core, settings, beginnings)
        yield _measured(blobs.objects(), sky, settings)
        beginnings = blobs.cut


def _measured(
    objects: dict[str, np.ndarray], sky: FilteredWindow, settings: Settings
) -> dict[str, np.ndarray]:
    """Add positions, fluxes and errors; positions become those of the field."""
    import sep

    columns = {name: objects[name] for name in objects if name != "label"}
    x, y = _middles(columns["x"], columns["y"], sky, settings.filter_sigma)
    reach = _CORE * settings.filter_sigma
    core, _, _ = sep.sum_circle(sky.reddest, x, y, reach, mask=sky.mask)
    masked, _, _ = sep.sum_circle(sky.mask.astype(np.float32), x, y, settings.aperture)
    fluxes = []
    errors = []
    for band, sigma in zip(sky.bands, sky.sigma, strict=True):
        flux, error, _ = sep.sum_circle(
            band.flux, x, y, settings.aperture, err=sigma, mask=~band.mask
        )
        fluxes.append(flux)
        errors.append(error)
    columns["x"] = x + sky.window.columns.start
    columns["y"] = y + sky.window.rows.start
    columns["core"] = core / np.sqrt(np.pi * reach**2)
    columns["masked"] = masked / (np.pi * settings.aperture**2)
    columns["flux"] = np.stack(fluxes, axis=-1)
    columns["error"] = np.stack(errors, axis=-1)
    return columns


def _middles(
    x: np.ndarray, y: np.ndarray, sky: FilteredWindow, filter_sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of cores in the last band, from their peaks (n,)."""
    import sep

    if not len(x):
        return x, y
    width = np.full(len(x), filter_sigma)
    middle_x, middle_y, _ = sep.winpos(sky.reddest, x, y, width, mask=sky.mask)
    use = np.hypot(middle_x - x, middle_y - y) < REACH * filter_sigma  # not if it is NaN
    return np.where(use, middle_x, x), np.where(use, middle_y, y)
