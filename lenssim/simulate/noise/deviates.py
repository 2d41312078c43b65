"""Normal deviates of pixels: the random streams that a data set may name.

A stream gives each sample its own deviates, whatever other samples are asked for. `sfc64`
draws blocks of 64 samples with numpy. `philox` is a function of (seed, split, sample number,
band, pixel) alone, so that any part of any image can be had by itself and on any device.
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
    philox_key,
    pixel_words,
)
from lenssim.simulate.streams import NOISE, blocks, generator

__all__ = [
    "COSINE",
    "EARLIEST",
    "LOGARITHM",
    "NEWEST",
    "SINE",
    "STREAMS",
    "ccd_noise",
    "check_stream",
    "normal_deviates",
]

EARLIEST = "sfc64"  # of data sets that name none
NEWEST = "philox"
_BLOCK = 64  # samples at a time without a compiler
LOGARITHM = (  # of (ln(1 + x) - x + x^2 / 2) / x^3, from Cephes' logf; the highest power first
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
# cos(pi t) and sin(pi t) / t in t^2, |t| <= 1/2: interpolated in Chebyshev's points, 7e-9 off
COSINE = (-0.02439593, 0.23493707, -1.33521195, 4.05870915, -4.93480214, 1.0)
SINE = (0.07765591, -0.59829041, 2.55007739, -5.16771008, 3.14159264)


def check_stream(name: str) -> str:
    """Return the name of a stream.

    Raises:
        ConfigError: There is none of that name; the message suggests the nearest.
    """
    if name not in STREAMS:
        raise unknown("noise stream", name, STREAMS, code="unknown-noise")
    return name


def normal_deviates(
    stream: str,
    numbers: np.ndarray,
    shape: tuple[int, ...],
    *,
    seed: int,
    split: str,
    purpose: int = NOISE,
) -> np.ndarray:
    """Return standard normal deviates of the pixels of samples.

    Args:
        stream: Name of a stream, in `STREAMS`.
        numbers: Sample numbers (N,) int64.
        shape: Shape (C, H, W) of an image.
        seed: Seed of the data set.
        split: Split of the data set.
        purpose: What they are for; a number in `streams`, so that layers differ.

    Returns:
        Deviates float32 (N, C, H, W). A sample's own do not depend on the other numbers.

    Raises:
        ConfigError: There is no such stream or split.

    Example:
        >>> options = {"seed": 1, "split": "train"}
        >>> two = normal_deviates("philox", np.array([7, 8]), (1, 64, 64), **options)
        >>> one = normal_deviates("philox", np.array([8]), (1, 64, 64), **options)
        >>> np.array_equal(two[1], one[0])
        True
    """
    return STREAMS[check_stream(stream)](numbers, shape, seed, split, purpose)


def ccd_noise(
    flux: np.ndarray,
    exposure: np.ndarray,
    background2: np.ndarray,
    numbers: np.ndarray,
    *,
    seed: int,
    split: str,
) -> np.ndarray | None:
    """Return flux + deviate * sqrt(max(flux, 0) / T + b^2) in one pass through memory.

    The deviates are those of `philox`, and the bits those of numpy's operations.

    Args:
        flux: Expected images float32 (N, C, H, W) in e-/s.
        exposure: Total exposures T (N or 1, C or 1, 1, 1) in s.
        background2: Variance of the background (N or 1, C or 1, 1, 1) in (e-/s)^2.
        numbers: Sample numbers (N,) int64.
        seed: Seed of the data set.
        split: Split of the data set.

    Returns:
        Images float32 (N, C, H, W); None where there is no compiled code.
    """
    compiled = _library()
    if compiled is None or flux.dtype != np.float32:
        return None
    flux = np.ascontiguousarray(flux)
    count, bands = flux.shape[:2]
    columns = [
        np.ascontiguousarray(
            np.broadcast_to(column, (count, bands, 1, 1)), dtype=np.float32
        )
        for column in (exposure, background2)
    ]
    noisy = np.empty_like(flux)
    compiled.ccd_noise(
        *addressed(numbers, flux.shape, philox_key(seed, split)),
        *(array.ctypes.data for array in (flux, *columns, noisy)),
    )
    return noisy


def _sfc64(
    numbers: np.ndarray,
    shape: tuple[int, ...],
    seed: int,
    split: str,
    purpose: int = NOISE,
) -> np.ndarray:
    """Return deviates of blocks of 64 samples, as data sets without a named stream have."""
    deviates = np.empty((len(numbers), *shape), np.float32)
    for block, positions, rows in blocks(numbers):
        rng = generator(seed, split, purpose, block)
        drawn = rng.standard_normal((rows.max() + 1, *shape), dtype=np.float32)
        deviates[positions] = drawn[rows]
    return deviates


def _philox(
    numbers: np.ndarray,
    shape: tuple[int, ...],
    seed: int,
    split: str,
    purpose: int = NOISE,
) -> np.ndarray:
    """Return deviates by counter (pixel, band, sample number)."""
    compiled = _library()
    if compiled is None:
        parts = [
            _philox_by_numpy(numbers[start : start + _BLOCK], shape, seed, split, purpose)
            for start in range(0, len(numbers), _BLOCK)
        ]
        return np.concatenate(parts or [np.empty((0, *shape), np.float32)])
    deviates = np.empty((len(numbers), *shape), np.float32)
    address = addressed(numbers, deviates.shape, philox_key(seed, split, purpose))
    compiled.normal_deviates(*address, deviates.ctypes.data)
    return deviates


def _philox_by_numpy(
    numbers: np.ndarray,
    shape: tuple[int, ...],
    seed: int,
    split: str,
    purpose: int = NOISE,
) -> np.ndarray:
    """Return what philox.cpp does, bit for bit."""
    words = pixel_words(numbers, shape, philox_key(seed, split, purpose))
    pairs = [*_box_muller(words[0], words[1]), *_box_muller(words[2], words[3])]
    return lanes_to_pixels(np.stack(pairs), shape)


def _box_muller(length: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two deviates from two words (Box & Muller 1958), in single precision."""
    half = np.float32(0.5)
    unit = np.float32(2.0**-32)
    uniform = (length.astype(np.float32) + half) * unit
    radius = np.sqrt(np.maximum(_logarithm(uniform) * np.float32(-2), np.float32(0)))
    # 31 bits are an angle of +-90 degrees, in half turns; one bit turns it round
    turn = (angle << np.uint32(1)).view(np.int32).astype(np.float32) * unit
    sign = angle & np.uint32(1 << 31)
    square = turn * turn
    cosine = _horner(COSINE, square)
    sine = _horner(SINE, square) * turn
    return _signed(radius * cosine, sign), _signed(radius * sine, sign)


def _logarithm(values: np.ndarray) -> np.ndarray:
    """Return ln of positive normal float32."""
    bits = values.view(np.uint32)
    exponent = (bits - np.uint32(0x3F3504F3)).view(np.int32) >> 23
    mantissa = bits - (exponent.view(np.uint32) << np.uint32(23))
    x = mantissa.view(np.float32) - np.float32(1)
    e = exponent.astype(np.float32)
    square = x * x
    y = _horner(LOGARITHM, x) * x * square
    y = y + e * np.float32(-2.12194440e-4)
    y = y - np.float32(0.5) * square
    return x + y + e * np.float32(0.693359375)


def _horner(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Return a polynomial in single precision, the highest power first."""
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + np.float32(coefficient)
    return result


def _signed(values: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Flip the sign bit of float32 where `sign` has it."""
    return (values.view(np.uint32) ^ sign).view(np.float32)


@lru_cache
def _library() -> ctypes.CDLL | None:
    """Return philox.cpp as a library, if it gives the bits of numpy on this machine."""
    compiled = library()
    if compiled is None:
        return None
    return compiled if _agrees(compiled) else None


def _agrees(compiled: ctypes.CDLL) -> bool:
    """Return whether compiled deviates have the bits of numpy's."""
    numbers = np.array([0, 1 << 33])
    shape = (2, 9, 131)
    deviates = np.empty((2, *shape), np.float32)
    address = addressed(numbers, deviates.shape, philox_key(5, "test"))
    compiled.normal_deviates(*address, deviates.ctypes.data)
    return np.array_equal(deviates, _philox_by_numpy(numbers, shape, 5, "test"))


Stream = Callable[[np.ndarray, tuple[int, ...], int, str, int], np.ndarray]
STREAMS: dict[str, Stream] = {EARLIEST: _sfc64, NEWEST: _philox}
