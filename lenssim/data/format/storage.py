"""Storage of images: float32, or dithered float16 and int16 with a bounded error.

Dither makes rounding harmless. A value between two steps goes to the upper one with a
probability equal to its distance from the lower one. So means over pixels, samples or
epochs are those of the original (Lipshitz, Wannamaker & Vanderkooy 1992; for astronomical
images White & Greenfield 1999, Pence, White & Seaman 2010).
"""

from importlib.util import find_spec
from typing import Any

import numpy as np

from lenssim.data.format.dither import NEWEST_DITHER, rounded
from lenssim.errors import ConfigError, unknown

__all__ = [
    "CHUNK_ROWS",
    "FILTER",
    "STORAGES",
    "are_finite",
    "check_storage",
    "compression",
    "decode",
    "encode",
    "error_bound",
    "noise_level",
]

STORAGES = ("float32", "float16", "int16")
# the number of bitshuffle in the registry of https://github.com/HDFGroup/hdf5_plugins
FILTER = 32008
CHUNK_ROWS = 64  # images compressed together: a block of sample numbers

_STEPS_A_SIGMA = 8  # int16: rounding adds sigma^2 / (6 * 64), 0.3 % of the noise's variance
_MAX_STEPS = 32_000  # int16 steps of the largest pixel
_TOP_EXPONENT = 14  # float16: the largest pixel of an image lies in [2^13, 2^14]


def check_storage(storage: str, compress: bool) -> None:
    """Check that a storage can be written here.

    Args:
        storage: One of `STORAGES`.
        compress: Whether the images are compressed.

    Raises:
        ConfigError: There is no such storage, or it needs a package that is not installed.
    """
    if storage not in STORAGES:
        raise unknown("storage", storage, STORAGES, code="unknown-storage")
    if compress:
        compression()


def compression() -> dict[str, Any]:
    """Return the arguments with which h5py compresses a dataset.

    Raises:
        ConfigError: The plugin is not installed.
    """
    if find_spec("hdf5plugin") is None:
        raise ConfigError(
            "compressed shards need hdf5plugin: pip install 'lenssim[compress]'",
            code="package-missing",
            package="hdf5plugin",
        )
    import hdf5plugin

    return dict(hdf5plugin.Bitshuffle(cname="lz4"))


def noise_level(images: np.ndarray) -> np.ndarray:
    """Estimate the noise of images from the differences of neighbouring pixels.

    The estimate is 1.4826 / sqrt(2) times the median absolute difference. The median
    ignores the pixels of an object, because they are few.

    Args:
        images: Images (n, C, H, W).

    Returns:
        Standard deviations (n, C), in the images' unit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noise_level(rng.normal(scale=3.0, size=(1, 1, 64, 64))).round(1).tolist()
        [[3.0]]
    """
    differences = np.abs(np.diff(images.astype(np.float64), axis=-1)).reshape(
        *images.shape[:2], -1
    )
    return 1.4826 / np.sqrt(2) * np.median(differences, axis=-1)


def encode(
    images: np.ndarray,
    numbers: np.ndarray,
    storage: str,
    dither_stream: str = NEWEST_DITHER,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Round images to a storage, with dither.

    stored * scale is the image up to an error below `error_bound`. The bits depend on the
    image and its number alone.

    Args:
        images: Images float32 (n, C, H, W).
        numbers: Sample numbers (n,).
        storage: One of `STORAGES`.
        dither_stream: Name of the stream of the dither.

    Returns:
        The images as stored, and their scale float32 (n, C); None for float32.

    Example:
        >>> images = np.ones((1, 1, 2, 2), np.float32)
        >>> stored, scale = encode(images, np.array([7]), "int16")
        >>> stored.dtype, decode(stored, scale).shape
        (dtype('int16'), (1, 1, 2, 2))
    """
    if storage == "float32":
        return images.astype(np.float32, copy=False), None
    scale = _scale(images, storage)
    return rounded(dither_stream, images, scale, numbers, storage), scale


def _scale(images: np.ndarray, storage: str) -> np.ndarray:
    """Return the step float32 (n, C) of each image."""
    top = images.max(axis=(2, 3), initial=0)
    bottom = images.min(axis=(2, 3), initial=0)
    peak = np.maximum(top, -bottom).astype(np.float64)
    if storage == "int16":
        scale = np.maximum(noise_level(images) / _STEPS_A_SIGMA, peak / _MAX_STEPS)
    else:
        scale = np.exp2(np.ceil(np.log2(np.where(peak > 0, peak, 1.0))) - _TOP_EXPONENT)
    return np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)


def decode(stored: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """Return images from how they are stored.

    Args:
        stored: Stored pixels (n, C, H, W).
        scale: Their scale (n, C); None for float32.

    Returns:
        Images float32 (n, C, H, W).
    """
    if scale is None:
        return stored
    return np.multiply(stored, scale[:, :, None, None], dtype=np.float32)


def are_finite(stored: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """Say which images have finite pixels, without decoding them.

    Args:
        stored: Stored pixels (n, C, H, W).
        scale: Their scale (n, C); None for float32.

    Returns:
        Truth values (n,).

    Example:
        >>> stored = np.full((1, 1, 2, 2), 2, np.int16)
        >>> scales = (np.float32(1), np.float32(np.inf))
        >>> [are_finite(stored, np.full((1, 1), scale)).item() for scale in scales]
        [True, False]
    """
    if scale is None:
        return np.isfinite(stored).all(axis=(1, 2, 3))
    with np.errstate(over="ignore", invalid="ignore"):
        largest = _largest(stored).astype(np.float32) * scale
    return np.isfinite(largest).all(axis=1)


def _largest(stored: np.ndarray) -> np.ndarray:
    """Return the largest size (n, C) of the pixels of each image; not finite if one is not."""
    if stored.dtype == np.float16:  # its bits without the sign have the order of its sizes
        sizes = np.ascontiguousarray(stored).view(np.uint16) & np.uint16(0x7FFF)
        return sizes.max(axis=(2, 3), initial=0).view(np.float16)
    top = stored.max(axis=(2, 3), initial=0).astype(np.float32)
    return np.maximum(top, -stored.min(axis=(2, 3), initial=0).astype(np.float32))


def error_bound(images: np.ndarray, scale: np.ndarray | None, storage: str) -> np.ndarray:
    """Return the largest error |stored * scale - image| that `encode` allows.

    Args:
        images: Images (n, C, H, W).
        scale: Their scale (n, C); None for float32.
        storage: One of `STORAGES`.

    Returns:
        Errors (n, C, H, W): one step of int16, one unit in the last place of float16.
    """
    if scale is None:
        return np.zeros(images.shape)
    step = scale[:, :, None, None].astype(np.float64)
    rounding = np.abs(images) * 2.0**-23  # of the product in float32
    if storage == "int16":
        return step + rounding
    return np.abs(images) * 2.0**-10 + step * 2.0**-24 + rounding
