"""Dither: the random numbers by which images are rounded, of streams that a data set may name.

`sfc64` has a generator for each image. `philox` is a function of (sample number, band, pixel)
alone, and rounds images in one compiled pass.
"""

import ctypes
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from lenssim.errors import unknown
from lenssim.simulate.noise.philox import (
    addressed,
    lanes_to_pixels,
    library,
    pixel_words,
    sequence_key,
)

__all__ = ["DITHERS", "EARLIEST_DITHER", "NEWEST_DITHER", "check_dither", "rounded"]

EARLIEST_DITHER = "sfc64"  # of data sets that name none
NEWEST_DITHER = "philox"
_KEY = 18  # spawn key of these streams; no other part of lenssim uses it
_BLOCK = 64  # samples at a time without a compiler
_CUT = 13  # bits that float16 lacks


def check_dither(name: str) -> str:
    """Return the name of a stream of dither.

    Raises:
        ConfigError: There is none of that name; the message suggests the nearest.
    """
    if name not in DITHERS:
        raise unknown("dither stream", name, DITHERS, code="unknown-dither")
    return name


def rounded(
    stream: str, images: np.ndarray, scale: np.ndarray, numbers: np.ndarray, storage: str
) -> np.ndarray:
    """Return images / scale, rounded with dither.

    Args:
        stream: Name of a stream, in `DITHERS`.
        images: Images float32 (N, C, H, W).
        scale: Their scale float32 (N, C).
        numbers: Sample numbers (N,).
        storage: "float16" or "int16".

    Returns:
        Numbers (N, C, H, W) of the storage's type. Those of an image depend on the image and
        its sample number alone.

    Raises:
        ConfigError: There is no such stream.

    Example:
        >>> images = np.full((1, 1, 64, 64), 1.25, np.float32)
        >>> steps = rounded("philox", images, np.ones((1, 1), np.float32), np.array([7]), "int16")
        >>> np.unique(steps).tolist()
        [1, 2]
    """
    return DITHERS[check_dither(stream)](images, scale, numbers, storage)


def _sfc64(
    images: np.ndarray, scale: np.ndarray, numbers: np.ndarray, storage: str
) -> np.ndarray:
    """Round with a generator for each image, as data sets without a named stream have it."""
    stored = np.empty(images.shape, storage)
    for i, number in enumerate(numbers):
        rng = np.random.Generator(
            np.random.SFC64(np.random.SeedSequence(int(number), spawn_key=(_KEY,)))
        )
        ratio = images[i] / scale[i, :, None, None].astype(np.float64)
        if storage == "int16":
            stored[i] = np.floor(ratio + rng.random(ratio.shape))
        else:
            bits = rng.integers(0, 1 << _CUT, ratio.shape, dtype=np.uint32)
            stored[i] = _to_half(ratio.astype(np.float32), bits)
    return stored


def _philox(
    images: np.ndarray, scale: np.ndarray, numbers: np.ndarray, storage: str
) -> np.ndarray:
    """Round by counter."""
    compiled = _compiled()
    if compiled is not None and images.dtype == np.float32:
        return _by_library(compiled, images, scale, numbers, storage)
    stored = np.empty(images.shape, storage)
    for start in range(0, len(images), _BLOCK):
        part = slice(start, start + _BLOCK)
        stored[part] = _by_numpy(images[part], scale[part], numbers[part], storage)
    return stored


def _by_numpy(
    images: np.ndarray, scale: np.ndarray, numbers: np.ndarray, storage: str
) -> np.ndarray:
    """Return what philox.cpp does, bit for bit."""
    shape = images.shape[1:]
    words = lanes_to_pixels(pixel_words(numbers, shape, _key()), shape)
    steps = scale[:, :, None, None]
    if storage == "float16":
        ratio = images.astype(np.float32) / steps
        return _to_half(ratio, words >> np.uint32(32 - _CUT))
    ratio = images.astype(np.float64) / steps.astype(np.float64)
    return np.floor(ratio + words.astype(np.float64) * 2.0**-32).astype(np.int16)


def _by_library(
    compiled: ctypes.CDLL,
    images: np.ndarray,
    scale: np.ndarray,
    numbers: np.ndarray,
    storage: str,
) -> np.ndarray:
    """Return what numpy does, in one pass through memory."""
    stored = np.empty(images.shape, storage)
    light = np.ascontiguousarray(images)
    steps = np.ascontiguousarray(scale, dtype=np.float32)
    function = getattr(compiled, f"dither_{storage}")
    addresses = (array.ctypes.data for array in (light, steps, stored))
    function(*addressed(numbers, images.shape, _key()), *addresses)
    return stored


def _to_half(values: np.ndarray, random_bits: np.ndarray) -> np.ndarray:
    """Round float32 to float16 with dither.

    A random number is added to the 13 bits that float16 lacks. Then they are cut off.
    """
    bits = values.view(np.uint32) + random_bits
    return (bits & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float16)


@lru_cache
def _key() -> tuple[int, int]:
    return sequence_key(np.random.SeedSequence(0, spawn_key=(_KEY,)))


@lru_cache
def _compiled() -> ctypes.CDLL | None:
    """Return the compiled functions, if they give the bits of numpy on this machine."""
    compiled = library()
    if compiled is None:
        return None
    numbers = np.array([0, 1 << 33])
    values = np.geomspace(1e-9, 1.0, 2 * 2 * 9 * 131, dtype=np.float32)
    images = values.reshape(2, 2, 9, 131)
    images[1] *= -1
    scale = np.full((2, 2), 2.0**-14, np.float32)
    for storage in ("float16", "int16"):
        arguments = (images, scale, numbers, storage)
        fast = _by_library(compiled, *arguments)
        if fast.tobytes() != _by_numpy(*arguments).tobytes():
            return None
    return compiled


Dither = Callable[[np.ndarray, np.ndarray, np.ndarray, str], np.ndarray]
DITHERS: dict[str, Dither] = {EARLIEST_DITHER: _sfc64, NEWEST_DITHER: _philox}
