"""How images lie on disk: float32 as they are, or float16 and int16 with dither, a scale and a bounded error.

Dither is what makes rounding harmless: a value between two steps goes to the upper one with a probability equal to its
distance from the lower, so that means over pixels, samples or epochs are those of the original (Lipshitz, Wannamaker &
Vanderkooy 1992; for astronomical images White & Greenfield 1999, Pence, White & Seaman 2010).
"""

from importlib.util import find_spec
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, unknown

__all__ = [
    "CHUNK_ROWS",
    "FILTER",
    "STORAGES",
    "check_storage",
    "compression",
    "decode",
    "encode",
    "error_bound",
    "noise_level",
]

STORAGES = ("float32", "float16", "int16")
FILTER = 32008  # HDF5's registered number of bitshuffle, https://github.com/HDFGroup/hdf5_plugins
CHUNK_ROWS = 64  # images compressed together: a block of sample numbers

_DITHER = 18  # spawn key of these streams, apart from those of the simulation, the order and the training
_STEPS_A_SIGMA = (
    8  # int16: rounding adds sigma^2 / (6 * 64) on average, 0.3 % of the noise's variance
)
_LARGEST = 32_000  # int16 steps of the largest pixel, at most
_TOP = 14  # float16: the largest pixel of an image lies in [2^13, 2^14]


def check_storage(storage: str, compress: bool) -> None:
    """`ConfigError` for a storage that there is not, or that needs an extra that is not installed."""
    if storage not in STORAGES:
        raise unknown("storage", storage, STORAGES)
    if compress:
        compression()


def compression() -> dict[str, Any]:
    """Arguments with which h5py compresses a dataset; `ConfigError` if the plugin is not installed."""
    if find_spec("hdf5plugin") is None:
        raise ConfigError(
            "compressed shards need hdf5plugin: pip install 'lenssim[compress]'"
        )
    import hdf5plugin

    return dict(hdf5plugin.Bitshuffle(cname="lz4"))


def noise_level(images: np.ndarray) -> np.ndarray:
    """Standard deviation (n, C) of the pixels' noise in images (n, C, H, W), from differences of neighbours.

    1.4826 times the median absolute difference, over sqrt(2): pixels of an object are few.
    """
    differences = np.abs(np.diff(images.astype(np.float64), axis=-1)).reshape(
        *images.shape[:2], -1
    )
    return 1.4826 / np.sqrt(2) * np.median(differences, axis=-1)


def encode(
    images: np.ndarray, numbers: np.ndarray, storage: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images float32 (n, C, H, W) of the samples `numbers` (n,) as stored, and their scale float32 (n, C).

    stored * scale is the image but for an error below `error_bound`. The bits depend on image and number alone.
    """
    if storage == "float32":
        return images.astype(np.float32, copy=False), None
    peak = np.abs(images).max(axis=(2, 3), initial=0).astype(np.float64)
    if storage == "int16":
        scale = np.maximum(noise_level(images) / _STEPS_A_SIGMA, peak / _LARGEST)
    else:
        scale = np.exp2(np.ceil(np.log2(np.where(peak > 0, peak, 1.0))) - _TOP)
    scale = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)
    stored = np.empty(images.shape, storage)
    for i, number in enumerate(numbers):
        rng = np.random.Generator(
            np.random.SFC64(np.random.SeedSequence(int(number), spawn_key=(_DITHER,)))
        )
        ratio = images[i] / scale[i, :, None, None].astype(np.float64)
        if storage == "int16":
            stored[i] = np.floor(ratio + rng.random(ratio.shape))
        else:
            stored[i] = _to_half(ratio.astype(np.float32), rng)
    return stored, scale


def _to_half(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 to float16 with dither: add a random part of the 13 bits that float16 has not, then cut them off."""
    bits = values.view(np.uint32) + rng.integers(0, 1 << 13, values.shape, dtype=np.uint32)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float16)


def decode(stored: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """Images float32 (n, C, H, W) from what is stored and its scale (n, C), or None for float32."""
    if scale is None:
        return stored
    return np.multiply(stored, scale[:, :, None, None], dtype=np.float32)


def error_bound(images: np.ndarray, scale: np.ndarray | None, storage: str) -> np.ndarray:
    """Largest |stored * scale - image| that `encode` allows, (n, C, H, W): one step of int16, one ulp of float16."""
    if scale is None:
        return np.zeros(images.shape)
    step = scale[:, :, None, None].astype(np.float64)
    rounding = np.abs(images) * 2.0**-23  # of the product in float32
    if storage == "int16":
        return step + rounding
    return np.abs(images) * 2.0**-10 + step * 2.0**-24 + rounding
