"""Images of files that hold no fluxes: magnitudes, and values that stand for masked pixels."""

import numpy as np

from lenssim.data.exchange.published import Stack
from lenssim.data.exchange.telescope.pixels import check_flux, masked_by_value
from lenssim.errors import DataError
from lenssim.learn.inputs.problems import Problem, Report
from lenssim.names import printable

__all__ = ["fluxes_of"]


def fluxes_of(stack: Stack, file: str, report: Report) -> tuple[np.ndarray, Stack]:
    """Return the numbers (M,) of those images of a file that hold fluxes, and these images.

    A network would answer for magnitudes too, and for a hole of the value 1e16.

    Args:
        stack: The images (N, C, H, W) of the file.
        file: What messages call it.
        report: Called with each image that holds magnitudes, or values that stand for masked
            pixels.
    """
    numbers = []
    for number, image in enumerate(stack.images):
        name = printable(file)
        if len(stack.images) > 1:
            name += f", image {number}"
        try:
            for band in image:
                _check_band(band.astype(np.float64), stack.unit, name)
        except DataError as error:
            report(Problem(file, number, error))
        else:
            numbers.append(number)
    rows = np.array(numbers, dtype=np.int64)
    return rows, stack._replace(images=stack.images[rows])


def _check_band(band: np.ndarray, unit: str, name: str) -> None:
    """Raise `DataError` for a band (H, W) of magnitudes, or with values for masked pixels."""
    finite = np.isfinite(band)
    if not finite.any():
        return  # an error of its own says so
    masked = masked_by_value(band, ()) & finite
    if masked.any() and band[finite & ~masked].any():
        raise DataError(
            f"{name}: {masked.sum()} of its pixels have the value {band[masked][0]:g}, which "
            "stands for masked pixels; lenssim import fits and import challenge read masks",
            code="image-values",
            name=name,
            masked=int(masked.sum()),
        )
    check_flux(np.where(finite, band, np.nan), unit, name)
