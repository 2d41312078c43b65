"""Random words by counter: the generator Philox, in numpy and compiled.

A word is a function of a key and of (sample number, band, pixel) alone. So any part of any
image can be had by itself, in any order and on any device.
"""

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.simulate.native import load
from lenssim.simulate.streams import NOISE, split_code

__all__ = [
    "MULTIPLIERS",
    "ROUNDS",
    "WEYL",
    "addressed",
    "lanes_to_pixels",
    "library",
    "philox4x32",
    "philox_key",
    "pixel_words",
    "sequence_key",
]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_SOURCE = Path(__file__).with_name("philox.cpp")

Key = tuple[int, int]


def sequence_key(sequence: np.random.SeedSequence) -> Key:
    """Return the two words of the key that follow from a seed sequence."""
    first, second = sequence.generate_state(2, np.uint32)
    return int(first), int(second)


def philox_key(seed: int, split: str, purpose: int = NOISE) -> Key:
    """Return the two words of the key of a seed, split and purpose."""
    return sequence_key(
        np.random.SeedSequence(seed, spawn_key=(purpose, split_code(split)))
    )


def philox4x32(counters: np.ndarray, key: Key) -> np.ndarray:
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
    for _ in range(ROUNDS):
        product0 = words[0].astype(np.uint64) * np.uint64(MULTIPLIERS[0])
        product1 = words[2].astype(np.uint64) * np.uint64(MULTIPLIERS[1])
        words = [
            _high(product1) ^ words[1] ^ np.uint32(keys[0]),
            product1.astype(np.uint32),
            _high(product0) ^ words[3] ^ np.uint32(keys[1]),
            product0.astype(np.uint32),
        ]
        keys = [(word + step) & 0xFFFFFFFF for word, step in zip(keys, WEYL, strict=True)]
    return np.stack(words)


def _high(product: np.ndarray) -> np.ndarray:
    """Return the upper 32 bits of each product."""
    return (product >> np.uint64(32)).astype(np.uint32)


def pixel_words(numbers: np.ndarray, shape: tuple[int, ...], key: Key) -> np.ndarray:
    """Return random words of the pixels of samples.

    The four words of counter j belong to pixel j of each quarter of a band.

    Args:
        numbers: Sample numbers (N,) int64.
        shape: Shape (C, H, W) of an image.
        key: Two words of 32 bits.

    Returns:
        Words uint32 (4, N, C, Q), where Q is a quarter of the pixels, rounded up.
    """
    bands = shape[0]
    quarter = -(-int(np.prod(shape[1:])) // 4)
    sizes = (len(numbers), bands, quarter)
    sample = numbers.astype(np.uint64)[:, None, None]
    counters = [
        np.arange(quarter, dtype=np.uint32),
        np.arange(bands, dtype=np.uint32)[:, None],
        sample.astype(np.uint32),
        _high(sample),
    ]
    filled = np.stack([np.broadcast_to(counter, sizes) for counter in counters])
    return philox4x32(filled, key)


def lanes_to_pixels(lanes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers of pixels from those of the four quarters.

    Args:
        lanes: Numbers (4, N, C, Q), in the order of `pixel_words`.
        shape: Shape (C, H, W) of an image.

    Returns:
        Numbers (N, C, H, W).
    """
    count, bands = lanes.shape[1:3]
    pixels = int(np.prod(shape[1:]))
    flat = np.moveaxis(lanes, 0, 2).reshape(count, bands, -1)
    return np.ascontiguousarray(flat[:, :, :pixels]).reshape(count, *shape)


def addressed(
    numbers: np.ndarray, shape: tuple[int, ...], key: Key
) -> tuple[int | np.ndarray, ...]:
    """Return the first arguments of the compiled functions, for images (N, C, H, W)."""
    count, bands = shape[:2]
    column = np.ascontiguousarray(numbers, dtype=np.int64)
    pixels = int(np.prod(shape[2:]))
    return (*key, column, count, bands, pixels)


@lru_cache
def library() -> ctypes.CDLL | None:
    """Return philox.cpp as a library; None where nothing can be compiled."""
    compiled = load(_SOURCE)
    if compiled is None:
        return None
    word = ctypes.c_uint32
    size = ctypes.c_int64
    column: Any = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")
    counted: list[Any] = [word, word, column, size, size, size]
    arrays = {"normal_deviates": 1, "ccd_noise": 4, "dither_float16": 3, "dither_int16": 3}
    for name, count in arrays.items():
        function = getattr(compiled, name)
        function.argtypes = [*counted, *[ctypes.c_void_p] * count]
        function.restype = None
    return compiled
