"""Which PSF an image has, where a camera has several."""

from collections.abc import Mapping

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.psf.point_spread import PointSpread

__all__ = ["PSF_COLUMNS", "band_column", "psf_values"]

PSF_COLUMNS = ("psf_index", "psf_fwhm")  # of scenes


def band_column(column: str, band: str | None) -> str:
    """Return the name of a column of one band; cameras of one band have no band names.

    Example:
        >>> band_column("psf_index", "g"), band_column("psf_index", None)
        ('psf_index_g', 'psf_index')
    """
    if band is None:
        return column
    return f"{column}_{band}"


def psf_values(psf: PointSpread, params: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return what tells which PSF each image has (N,), or None where all have the same.

    Args:
        psf: The PSF of a camera.
        params: Columns (N,) of the scenes.

    Raises:
        ConfigError: The scenes do not say it, or say what the PSF does not have.
    """
    column = psf.column
    if column is None:
        return None
    if column not in params:
        raise ConfigError(
            f"the camera has several PSFs, and the scenes do not say which: add the column "
            f"{column}",
            code="psf-column",
            column=column,
        )
    values = np.asarray(params[column], dtype=np.float64)
    low, high = psf.value_bounds()
    if not ((values >= low) & (values <= high)).all():
        raise ConfigError(
            f"{column} must lie in {low:g}..{high:g}, got {values.min():g} to {values.max():g}",
            code="psf-column",
            column=column,
        )
    return values
