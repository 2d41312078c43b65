"""Normal deviates of pixels: the random streams that a data set may name.

A stream gives each sample its own deviates, whatever other samples are asked for. `sfc64`
draws blocks of 64 samples with numpy. `philox` is a function of (seed, split, sample number,
band, pixel) alone, so that any part of any image can be had by itself and on any device.
"""

import ctypes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import unknown
from lenssim.simulate.native import load
from lenssim.simulate.streams import NOISE, blocks, generator, split_code

__all__ = [
    "EARLIEST",
    "NEWEST",
    "STREAMS",
    "ccd_noise",
    "check_stream",
    "normal_deviates",
    "philox4x32",
    "philox_key",
]

EARLIEST = "sfc64"  # of data sets that name none
NEWEST = "philox"
_SOURCE = Path(__file__).with_name("philox.cpp")
_BLOCK = 64  # samples at a time without a compiler
_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOG = (  # of (ln(1 + x) - x + x^2 / 2) / x^3, from Cephes' logf; the highest power first
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
_COSINE = (-0.02439593, 0.23493707, -1.33521195, 4.05870915, -4.93480214, 1.0)
_SINE = (0.07765591, -0.59829041, 2.55007739, -5.16771008, 3.14159264)


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
    library = _library()
    if library is None or flux.dtype != np.float32:
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
    library.ccd_noise(
        *_addressed(numbers, flux.shape, seed, split),
        *(array.ctypes.data for array in (flux, *columns, noisy)),
    )
    return noisy


def philox_key(seed: int, split: str, purpose: int = NOISE) -> tuple[int, int]:
    """Return the two words of the key of a seed, split and purpose."""
    sequence = np.random.SeedSequence(seed, spawn_key=(purpose, split_code(split)))
    first, second = sequence.generate_state(2, np.uint32)
    return int(first), int(second)


def philox4x32(counters: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Return the random words of counters, Philox4x32-10 of Salmon et al. (2011).

    Args:
        counters: Counters uint32 (4, ...).
        key: Two words of 32 bits.

    Returns:
        Words uint32 (4, ...).

    Example:
        >>> words = philox4x32(np.zeros((4, 1), np.uint32), (0, 0))
        >>> [f"{int(word):08x}" for word in words[:, 0]]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    words = list(counters.astype(np.uint32))
    keys = list(key)
    for _ in range(_ROUNDS):
        product0 = words[0].astype(np.uint64) * np.uint64(_MULTIPLIERS[0])
        product1 = words[2].astype(np.uint64) * np.uint64(_MULTIPLIERS[1])
        words = [
            _high(product1) ^ words[1] ^ np.uint32(keys[0]),
            product1.astype(np.uint32),
            _high(product0) ^ words[3] ^ np.uint32(keys[1]),
            product0.astype(np.uint32),
        ]
        keys = [(word + step) & 0xFFFFFFFF for word, step in zip(keys, _WEYL, strict=True)]
    return np.stack(words)


def _high(product: np.ndarray) -> np.ndarray:
    """Return the upper 32 bits of each product."""
    return (product >> np.uint64(32)).astype(np.uint32)


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
    library = _library()
    if library is None:
        parts = [
            _philox_by_numpy(numbers[start : start + _BLOCK], shape, seed, split, purpose)
            for start in range(0, len(numbers), _BLOCK)
        ]
        return np.concatenate(parts or [np.empty((0, *shape), np.float32)])
    deviates = np.empty((len(numbers), *shape), np.float32)
    library.normal_deviates(
        *_addressed(numbers, deviates.shape, seed, split, purpose), deviates.ctypes.data
    )
    return deviates


def _philox_by_numpy(
    numbers: np.ndarray,
    shape: tuple[int, ...],
    seed: int,
    split: str,
    purpose: int = NOISE,
) -> np.ndarray:
    """Return what philox.cpp does, bit for bit.

    The four words of counter j are the deviates of pixel j of each quarter of a band.
    """
    bands = shape[0]
    pixels = int(np.prod(shape[1:]))
    quarter = -(-pixels // 4)
    sizes = (len(numbers), bands, quarter)
    sample = numbers.astype(np.uint64)[:, None, None]
    counters = [
        np.arange(quarter, dtype=np.uint32),
        np.arange(bands, dtype=np.uint32)[:, None],
        sample.astype(np.uint32),
        _high(sample),
    ]
    filled = np.stack([np.broadcast_to(counter, sizes) for counter in counters])
    words = philox4x32(filled, philox_key(seed, split, purpose))
    pairs = [*_box_muller(words[0], words[1]), *_box_muller(words[2], words[3])]
    flat = np.stack(pairs, axis=2).reshape(len(numbers), bands, 4 * quarter)
    return np.ascontiguousarray(flat[:, :, :pixels]).reshape(len(numbers), *shape)


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
    cosine = _horner(_COSINE, square)
    sine = _horner(_SINE, square) * turn
    return _signed(radius * cosine, sign), _signed(radius * sine, sign)


def _logarithm(values: np.ndarray) -> np.ndarray:
    """Return ln of positive normal float32."""
    bits = values.view(np.uint32)
    exponent = (bits - np.uint32(0x3F3504F3)).view(np.int32) >> 23
    mantissa = bits - (exponent.view(np.uint32) << np.uint32(23))
    x = mantissa.view(np.float32) - np.float32(1)
    e = exponent.astype(np.float32)
    square = x * x
    y = _horner(_LOG, x) * x * square
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


def _addressed(
    numbers: np.ndarray,
    shape: tuple[int, ...],
    seed: int,
    split: str,
    purpose: int = NOISE,
) -> tuple[int | np.ndarray, ...]:
    """Return the first arguments of the compiled functions."""
    count, bands = shape[:2]
    column = np.ascontiguousarray(numbers, dtype=np.int64)
    pixels = int(np.prod(shape[2:]))
    return (*philox_key(seed, split, purpose), column, count, bands, pixels)


@lru_cache
def _library() -> ctypes.CDLL | None:
    """Return philox.cpp as a library, if it gives the bits of numpy on this machine."""
    library = load(_SOURCE)
    if library is None:
        return None
    word = ctypes.c_uint32
    size = ctypes.c_int64
    column: Any = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")
    counted: list[Any] = [word, word, column, size, size, size]
    library.normal_deviates.argtypes = [*counted, ctypes.c_void_p]
    library.ccd_noise.argtypes = [*counted, *[ctypes.c_void_p] * 4]
    for function in (library.normal_deviates, library.ccd_noise):
        function.restype = None
    return library if _agrees(library) else None


def _agrees(library: ctypes.CDLL) -> bool:
    """Return whether compiled deviates have the bits of numpy's."""
    numbers = np.array([0, 1 << 33])
    shape = (2, 9, 131)
    compiled = np.empty((2, *shape), np.float32)
    library.normal_deviates(
        *_addressed(numbers, compiled.shape, 5, "test"), compiled.ctypes.data
    )
    return np.array_equal(compiled, _philox_by_numpy(numbers, shape, 5, "test"))


Stream = Callable[[np.ndarray, tuple[int, ...], int, str, int], np.ndarray]
STREAMS: dict[str, Stream] = {EARLIEST: _sfc64, NEWEST: _philox}
