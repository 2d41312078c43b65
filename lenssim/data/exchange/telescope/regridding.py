"""Images on other pixels: the light of each new pixel is the light of the area that it covers."""

import math

import numpy as np

__all__ = ["overlap", "regrid", "regrid_kernel"]

_EDGE = 1e-9  # of a pixel: rounding at the edge of a stamp


def overlap(size: int, scale: float, new_size: int, new_scale: float) -> np.ndarray:
    """Return which share of each old pixel each new pixel covers, along one axis.

    Both rows of pixels have the same middle. Parts of new pixels beyond the old ones cover
    nothing.

    Args:
        size: Number of old pixels.
        scale: Side of an old pixel, such as in arcsec.
        new_size: Number of new pixels.
        new_scale: Side of a new pixel, in the same unit.

    Returns:
        Shares (new_size, size).

    Example:
        >>> overlap(4, 1.0, 2, 2.0)
        array([[1., 1., 0., 0.],
               [0., 0., 1., 1.]])
    """
    edges = np.arange(size + 1) - size / 2
    new_edges = (np.arange(new_size + 1) - new_size / 2) * (new_scale / scale)
    low = np.maximum(edges[None, :-1], new_edges[:-1, None])
    high = np.minimum(edges[None, 1:], new_edges[1:, None])
    return np.clip(high - low, 0, None)


def regrid(
    image: np.ndarray, pixel_scale: float, num_pix: int, new_scale: float
) -> np.ndarray:
    """Return an image on other pixels around the same middle, with its flux.

    Args:
        image: Flux in each pixel, (..., H, W).
        pixel_scale: Side of its pixels.
        num_pix: Number of new pixels a side.
        new_scale: Side of the new pixels.

    Returns:
        Flux (..., num_pix, num_pix).

    Example:
        >>> regrid(np.ones((6, 6)), 0.1, 2, 0.2)
        array([[4., 4.],
               [4., 4.]])
    """
    rows = overlap(image.shape[-2], pixel_scale, num_pix, new_scale)
    columns = overlap(image.shape[-1], pixel_scale, num_pix, new_scale)
    return rows @ image @ columns.T


def regrid_kernel(kernel: np.ndarray, pixel_scale: float, new_scale: float) -> np.ndarray:
    """Return a PSF kernel on other pixels, with an odd number of them and the sum 1.

    A point source whose image is regridded has this image.

    Args:
        kernel: Kernel (K, K), K odd.
        pixel_scale: Side of its pixels.
        new_scale: Side of the new pixels.
    """
    side = len(kernel) * pixel_scale / new_scale
    half = max(math.ceil((side - 1) / 2 - _EDGE), 0)
    regridded = regrid(kernel, pixel_scale, 2 * half + 1, new_scale)
    return regridded / regridded.sum()
