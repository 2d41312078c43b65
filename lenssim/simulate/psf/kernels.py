"""Kernels of files: what is mended with a note, and what is refused by name."""

from pathlib import Path

import numpy as np

from lenssim.errors import DataError
from lenssim.formats.files import is_image_name, read_content
from lenssim.notes import note_once

__all__ = [
    "MAX_SIDE",
    "SUM_TOLERANCE",
    "centroid",
    "check_kernel",
    "cropped",
    "mended",
    "normalised",
    "note_sum",
    "read_kernels",
    "recentred",
]

MAX_SIDE = 1023  # pixels of a kernel
SUM_TOLERANCE = 1e-6  # how far from 1 a kernel may sum, for its last digits
_NEGATIVE = 1e-3  # of the peak: smaller negative pixels are noise


def normalised(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel divided by its sum."""
    return kernel / kernel.sum()


def read_kernels(path: Path) -> np.ndarray:
    """Return the kernels (M, K, K) of a file, float64; a single one has M = 1.

    Args:
        path: A .npy or FITS file.

    Raises:
        ValueError: It is not a file of kernels.
    """
    if not is_image_name(path.name):
        raise ValueError(
            f"a kernel is a .npy or .fits file or rows of numbers, got {str(path)!r}"
        )
    try:
        kernels = read_content(path).value
    except DataError as error:
        raise ValueError(f"cannot read the kernel: {error}") from None
    if isinstance(kernels, list):
        raise ValueError(
            f"cannot read the kernel {path}: it holds an array of objects, not of numbers"
        )
    shape = kernels.shape
    while kernels.ndim > 3 and 1 in kernels.shape:
        kernels = kernels.squeeze(kernels.shape.index(1))
    if kernels.ndim == 2:
        kernels = kernels[None]
    if kernels.ndim != 3 or max(kernels.shape[1:]) > MAX_SIDE:
        raise ValueError(
            f"cannot read the kernel {path}: a PSF kernel has rows and columns, at most "
            f"{MAX_SIDE} of each, got shape {shape}"
        )
    return np.asarray(kernels, dtype=np.float64)


def check_kernel(kernel: np.ndarray, name: str = "a PSF kernel") -> None:
    """Refuse what no kernel can be.

    Args:
        kernel: Numbers (K, L).
        name: What to call it.

    Raises:
        ValueError: It is not square, of an even size, not finite, or clearly negative.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"{name} must be square, got shape {kernel.shape}")
    if len(kernel) % 2 == 0:
        raise ValueError(
            f"{name} must have an odd number of pixels a side, so that it has a middle, "
            f"got {len(kernel)}; resample or crop it"
        )
    if not np.isfinite(kernel).all():
        count = int((~np.isfinite(kernel)).sum())
        raise ValueError(f"{name} must hold finite numbers, got {count} others")
    peak = kernel.max()
    if peak <= 0:
        raise ValueError(f"{name} must have a positive peak, got {peak:g}")
    deepest = -kernel.min() / peak
    if deepest > _NEGATIVE:
        raise ValueError(
            f"{name} has negative pixels down to {deepest:.2g} of its peak, more than noise "
            f"of {_NEGATIVE:g}; mask or crop them (crop: K takes the middle K x K pixels)"
        )
    if kernel.sum() <= 0:
        raise ValueError(f"{name} must have a positive sum, got {kernel.sum():g}")


def cropped(kernel: np.ndarray, side: int | None, name: str = "a PSF kernel") -> np.ndarray:
    """Return the middle `side` x `side` pixels of a kernel (K, K), all of it for None."""
    if side is None:
        return kernel
    if side > min(kernel.shape) or (min(kernel.shape) - side) % 2:
        raise ValueError(
            f"{name}: crop must be at most its {min(kernel.shape)} pixels a side and leave "
            f"as many on both sides, got {side}"
        )
    edge = (min(kernel.shape) - side) // 2
    return kernel[edge : edge + side, edge : edge + side]


def mended(
    kernel: np.ndarray,
    name: str,
    *,
    normalise: bool | None = None,
    recentre: bool = False,
    crop: int | None = None,
) -> np.ndarray:
    """Return a kernel of a file as a PSF uses it.

    Negative pixels smaller than a thousandth of the peak become 0. A sum other than 1 is
    divided out, with a note.

    Args:
        kernel: Numbers (K, K).
        name: What to call it in notes and errors.
        normalise: True: divide by the sum without a note. False: refuse another sum than 1.
        recentre: Move the centroid to the middle.
        crop: Take the middle pixels, this many a side.

    Returns:
        The kernel, float64 (K, K).

    Raises:
        ValueError: The kernel cannot be mended.

    Example:
        >>> mended(np.ones((3, 3)), "mine", normalise=True).sum().round(12)
        np.float64(1.0)
    """
    kernel = cropped(kernel, crop, name)
    check_kernel(kernel, name)
    if kernel.min() < 0:
        kernel = kernel.clip(min=0)
    if recentre:
        kernel = recentred(kernel)
    total = kernel.sum()
    if abs(total - 1) <= SUM_TOLERANCE and not normalise:
        return kernel
    if normalise is False:
        raise ValueError(
            f"{name} must sum to 1, got {total:g}; divide it by its sum, or say "
            "normalise: true"
        )
    if normalise is None:
        note_sum(name, f"{total:.4g}")
    return normalised(kernel)


def note_sum(name: str, total: str) -> None:
    """Note that a kernel does not sum to 1."""
    note_once(
        f"lenssim: {name} sums to {total} and was divided by it, so that images keep their "
        "flux; normalise: true says that this is meant"
    )


def recentred(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (K, K) whose centroid lies in the middle pixel.

    It is moved with cubic splines. The centroid is that of the pixels above a tenth of the
    peak, because wings reach beyond the frame.
    """
    from scipy.ndimage import shift

    moved = kernel
    for _ in range(3):
        moved = shift(moved, -centroid(moved), order=3, mode="constant").clip(min=0)
    return moved


def centroid(kernel: np.ndarray) -> np.ndarray:
    """Return how far (y, x) the centroid of the core lies from the middle, in pixels.

    Example:
        >>> kernel = np.zeros((5, 5))
        >>> kernel[2, 3] = 1.0
        >>> centroid(kernel).tolist()
        [0.0, 1.0]
    """
    core = np.where(kernel > 0.1 * kernel.max(), kernel, 0)
    offset = np.arange(len(kernel)) - len(kernel) // 2
    return np.array([core.sum(1) @ offset, core.sum(0) @ offset]) / core.sum()
