"""Bands on the pixels of a data set: cut, or resampled with their noise, mask and PSF."""

from dataclasses import replace

import numpy as np

from lenssim.data.exchange.telescope.band_image import BandImage, ReadingOptions
from lenssim.data.exchange.telescope.pixels import all_masked
from lenssim.data.exchange.telescope.regridding import regrid, regrid_kernel
from lenssim.errors import DataError
from lenssim.names import printable

__all__ = ["on_grid"]

_SAME_SCALE = 2e-3
_FEWEST_PIXELS = 4  # a side, as --num-pix allows
_UNSEEN = 1e-6  # of a new pixel: rounding


def on_grid(image: BandImage, options: ReadingOptions, lens: str) -> BandImage:
    """Return a band on the pixels of the data set.

    Flux is summed over the area of each new pixel. So are variances: the noise of a large
    aperture stays what it was. A new pixel is masked if any part of it was not seen.

    Args:
        image: The band on the pixels of its file.
        options: The pixels of the data set, and of files without a header.
        lens: Name of the lens, for messages.

    Raises:
        DataError: The pixel scale is not known, the stamp is too small, or all is masked.
    """
    scale = _native_scale(image, options, lens)
    target = options.grid.pixel_scale or scale
    if abs(target / scale - 1) <= _SAME_SCALE:
        return _cut(
            replace(image, sky=replace(image.sky, pixel_scale=target)), options, lens
        )
    side = int(min(image.pixels.shape) * scale / target + 1e-6)
    num_pix = options.grid.num_pix or max(side, _FEWEST_PIXELS)
    if num_pix > side:
        raise _too_small(lens, side, num_pix)
    unseen = regrid((~image.mask).astype(np.float64), scale, num_pix, target)
    mask = unseen < _UNSEEN
    if not mask.any():
        raise all_masked(printable(lens))
    sigma = None
    if image.sigma is not None:
        variance = regrid(np.nan_to_num(image.sigma) ** 2, scale, num_pix, target)
        sigma = np.where(mask, np.sqrt(variance), np.nan)
    psf = image.psf
    if psf is not None:
        factor = options.psf_supersampling
        psf = regrid_kernel(psf, scale / factor, target / factor)
    pixels = regrid(image.pixels, scale, num_pix, target)
    if image.sky.is_brightness:  # flux of an area, in place of a pixel
        pixels *= (scale / target) ** 2
        sigma = None if sigma is None else sigma * (scale / target) ** 2
    sky = replace(image.sky, pixel_scale=target)
    return BandImage(image.band, pixels, mask, sigma, psf, sky, image.psf_offset)


def _native_scale(image: BandImage, options: ReadingOptions, lens: str) -> float:
    """Return the pixel scale of an image's file [arcsec]."""
    if not image.sky.is_square and options.native_scale is None:
        raise DataError(
            f"{printable(lens)}: its pixels are not square; resample them, or state "
            "--native-scale",
            code="no-pixel-scale",
            lens=lens,
        )
    scale = options.native_scale or image.sky.pixel_scale or options.grid.pixel_scale
    if scale is None:
        raise DataError(
            f"{printable(lens)}: its header states no pixel scale (no CD matrix, CDELT or "
            "PIXSCALE); give --pixel-scale, in arcsec",
            code="no-pixel-scale",
            lens=lens,
        )
    return scale


def _cut(image: BandImage, options: ReadingOptions, lens: str) -> BandImage:
    """Return the middle of an image, `num_pix` pixels a side."""
    num_pix = options.grid.num_pix
    height, width = image.pixels.shape
    if num_pix is None and height == width:
        return image
    if num_pix is None:
        raise DataError(
            f"{printable(lens)}: its stamp of {height} x {width} pixels is not square; "
            "cut it by --num-pix",
            code="image-shape",
            shape=(height, width),
        )
    if num_pix > min(height, width):
        raise _too_small(lens, min(height, width), num_pix)
    row = (height - num_pix) // 2
    column = (width - num_pix) // 2
    window = (slice(row, row + num_pix), slice(column, column + num_pix))
    sigma = None if image.sigma is None else image.sigma[window]
    mask = image.mask[window]
    if not mask.any():
        raise all_masked(printable(lens))
    return replace(image, pixels=image.pixels[window], mask=mask, sigma=sigma)


def _too_small(lens: str, side: int, num_pix: int) -> DataError:
    return DataError(
        f"{printable(lens)}: its stamp has {side} pixels a side, fewer than {num_pix}; state "
        "a smaller --num-pix or --pixel-scale",
        code="stamp-too-small",
        lens=lens,
        side=side,
    )
