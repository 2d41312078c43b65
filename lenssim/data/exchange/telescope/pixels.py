"""What images, noise maps, masks and PSFs of files must be, and which of their pixels are masked."""

from collections.abc import Sequence

import numpy as np

from lenssim.errors import DataError
from lenssim.simulate.psf.kernels import check_kernel, mended

__all__ = [
    "check_flux",
    "check_noise",
    "filled",
    "kernel_of",
    "masked_by_value",
    "noise_rms",
    "used_pixels",
]

_HUGE = 1e3  # times the median noise: telescopes mask pixels by a huge noise
_SIGN = 50.0  # times the largest other pixel: a value that stands for "masked"
_LONE_SIGN = 1e3  # the same of a value that one pixel has
_TOO_SMALL = 0.02  # noise map over measured noise: below it is no noise map
_TOO_LARGE = 300.0
_FEWEST_USED = 0.1  # of the pixels, or a mask is taken to have the other sense
_FEWEST_EQUAL = 3  # masked pixels of one value, which then is no flux
_NEIGHBOURS = 1.5  # pixels: width of the mean that fills pixels without flux
_MAGNITUDES = (10.0, 45.0)
_FAINTER = 0.5  # mag
_NO_MAGNITUDE = 99.0  # what catalogues write where nothing was seen, also as -99


def masked_by_value(image: np.ndarray, values: Sequence[float]) -> np.ndarray:
    """Return which pixels of an image have a value that stands for "masked", bool (H, W).

    NaN and infinity do, and whatever the user names. So does the largest or the smallest
    value if it is fifty times as large as every other one and several pixels have it.

    Args:
        image: Image (H, W).
        values: Values that a user names.

    Example:
        >>> masked_by_value(np.array([[0.1, 0.2], [100.0, 100.0]]), []).sum()
        np.int64(2)
    """
    masked = ~np.isfinite(image)
    for value in values:
        masked |= np.isclose(image, value, rtol=1e-6, atol=0)
    for extreme in (np.max, np.min):
        good = image[~masked]
        if not good.size:
            break
        value = extreme(good)
        others = good[good != value]
        if not others.size:
            continue
        factor = abs(value) / max(np.abs(others).max(), np.finfo(np.float64).tiny)
        count = good.size - others.size
        if factor > _LONE_SIGN or (count > 1 and factor > _SIGN):
            masked |= image == value
    return masked


def filled(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return an image with a flux in each pixel, float64 (H, W).

    Masked pixels that hold no flux get the mean of their neighbours, and the median of the
    image where they have none. They hold no flux if they are not finite, or if several masked
    pixels have the same value. Other pixels stay as they are.

    Args:
        image: Image (H, W); a value that stands for "masked" is NaN.
        mask: Which pixels were seen, bool (H, W).

    Example:
        >>> image = np.ones((9, 9))
        >>> image[4, 4] = np.nan
        >>> filled(image, np.isfinite(image))[4, 4].round(6)
        np.float64(1.0)
    """
    from scipy.ndimage import gaussian_filter

    empty = ~np.isfinite(image)
    values, counts = np.unique(image[~mask & ~empty], return_counts=True)
    repeated = values[(counts >= _FEWEST_EQUAL) | (values == 0)]
    empty |= ~mask & np.isin(image, repeated)
    if not empty.any():
        return image
    seen = mask & ~empty
    weight = gaussian_filter(seen.astype(np.float64), _NEIGHBOURS)
    light = gaussian_filter(np.where(seen, image, 0.0), _NEIGHBOURS)
    has_neighbours = weight > 1e-3
    mean = np.full(image.shape, np.median(image[seen]))
    mean[has_neighbours] = light[has_neighbours] / weight[has_neighbours]
    return np.where(empty, mean, image)


def noise_rms(array: np.ndarray, role: str, where: str) -> np.ndarray:
    """Return the rms of the noise of each pixel, NaN where a pixel is masked.

    Args:
        array: Rms, variance or inverse variance (H, W).
        role: "sigma", "variance" or "weight".
        where: What the map is, for messages.

    Raises:
        DataError: The map has negative values, or all its pixels are masked.
    """
    finite = np.isfinite(array)
    if (array[finite] < 0).any():
        count = int((array[finite] < 0).sum())
        raise DataError(
            f"{where}: {count} of its values are negative, so it is no noise map; name the "
            "right one, or leave it out",
            code="noise-values",
            where=where,
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = array.astype(np.float64)
        if role == "variance":
            sigma = np.sqrt(sigma)
        elif role == "weight":
            sigma = 1 / np.sqrt(sigma)
    good = np.isfinite(sigma) & (sigma > 0)
    if good.any():
        good &= sigma < _HUGE * np.median(sigma[good])
    if not good.any():
        raise all_masked(where)
    return np.where(good, sigma, np.nan)


def all_masked(where: str) -> DataError:
    """Return the error of an image without a pixel that can be used."""
    return DataError(
        f"{where}: all of its pixels are masked", code="all-masked", where=where
    )


def check_noise(image: np.ndarray, sigma: np.ndarray, where: str) -> None:
    """Refuse a noise map whose level cannot be that of the image.

    The noise of an image is measured from differences of neighbouring pixels. Resampling
    makes it smaller than the noise map says, up to five times.

    Args:
        image: Image (H, W), NaN where it is masked.
        sigma: Noise map (H, W), NaN where it is masked.
        where: What the map is, for messages.

    Raises:
        DataError: The map is far from the noise of the image.
    """
    steps = np.abs(np.diff(image, axis=1))
    steps = steps[np.isfinite(steps)]
    if not steps.size or not (steps > 0).any():
        return
    measured = np.median(steps) / (0.6745 * np.sqrt(2))
    ratio = np.nanmedian(sigma) / max(measured, np.finfo(np.float64).tiny)
    if measured > 0 and not _TOO_SMALL < ratio < _TOO_LARGE:
        raise DataError(
            f"{where}: its median is {np.nanmedian(sigma):.3g}, and neighbouring pixels of the "
            f"image differ by noise of about {measured:.3g}: it is no map of the rms; if it "
            "holds variances or weights, say so by --noise-kind",
            code="noise-values",
            where=where,
        )


def check_flux(image: np.ndarray, unit: str, where: str) -> None:
    """Refuse an image in magnitudes.

    Args:
        image: Image (H, W), NaN where it is masked.
        unit: What the header says of its unit.
        where: What the image is, for messages.

    Raises:
        DataError: Its unit is magnitudes, or its values look like them: they all lie between
            10 and 45, and those in the middle are smaller than those at the edge.
    """
    image = np.where(np.abs(image) == _NO_MAGNITUDE, np.nan, image)
    if np.isnan(image).all():
        return
    low = np.nanmin(image)
    high = np.nanmax(image)
    is_counted = (np.round(image) == image)[np.isfinite(image)].all()  # in electrons
    looks_so = _MAGNITUDES[0] < low and high < _MAGNITUDES[1] and not is_counted
    if looks_so:
        rows, columns = (slice(3 * side // 8, 5 * side // 8 + 1) for side in image.shape)
        middle = np.nanmedian(image[rows, columns])
        looks_so = middle < np.nanmedian(image) - _FAINTER
    if looks_so or "mag" in unit.lower():
        raise DataError(
            f"{where}: its pixels are magnitudes (from {low:.3g} to {high:.3g}); give fluxes: "
            "10 ** (-0.4 * (magnitude - zero_point))",
            code="magnitudes",
            where=where,
            unit=unit,
        )


def used_pixels(
    array: np.ndarray, role: str, meaning: str, where: str, bad_bits: int | None = None
) -> np.ndarray:
    """Return which pixels a mask lets one use, bool (H, W).

    Args:
        array: The mask (H, W).
        role: "flags" (0 is good), "used" (1 is good), or "mask", which `meaning` explains.
        meaning: What the numbers of a mask other than 0 mean: "bad" or "good".
        where: What the mask is, for messages.
        bad_bits: Bits that mean bad pixels, where the mask has bits with names: the others, such
            as that of detected sources, are no fault.

    Raises:
        DataError: The mask leaves too few pixels.
    """
    marked = np.nan_to_num(array, nan=1) != 0
    if bad_bits is not None and array.dtype.kind in "iu":
        marked = (array.astype(np.int64) & bad_bits) != 0
    good = marked if role == "used" or (role == "mask" and meaning == "good") else ~marked
    if good.mean() < _FEWEST_USED:
        raise DataError(
            f"{where}: it masks {1 - good.mean():.0%} of the pixels; if its numbers mean the "
            "reverse, say --mask-means good or bad",
            code="all-masked",
            where=where,
        )
    return good


def kernel_of(array: np.ndarray, where: str, recentre: bool = False) -> np.ndarray:
    """Return a PSF kernel of a file with the sum 1, float64 (K, K).

    Args:
        array: The kernel; further axes of length one are dropped.
        where: What the kernel is, for messages.
        recentre: Whether its centroid is moved to the middle.

    Raises:
        DataError: It is not square, has an even size, NaN, or clearly negative pixels.
    """
    kernel = np.asarray(array, dtype=np.float64)
    if kernel.ndim > 2:
        kernel = kernel.squeeze()
    try:
        check_kernel(kernel, where)
        return mended(kernel, where, normalise=True, recentre=recentre)
    except ValueError as error:
        raise DataError(str(error), code="psf-invalid", where=where) from None
