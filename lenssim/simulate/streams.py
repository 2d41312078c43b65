"""Random streams: the bits of a sample follow from (seed, split, sample number) and from nothing else.

Samples are drawn in fixed blocks of `BLOCK` consecutive numbers. A block owns one generator per purpose, made with a
SeedSequence spawn key; whatever wants one sample draws its block and takes its row. So the bits do not depend on
how many samples are asked for, on shards, batches, workers, order or resumption.
"""

from collections.abc import Iterator

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.names import shown

__all__ = [
    "BACKGROUND",
    "BAND_NOISE",
    "BLOCK",
    "COLOURS",
    "COVERAGE",
    "DARK_MATTER",
    "FIELD",
    "MACRO",
    "NOISE",
    "PSF",
    "SHOT",
    "SPLITS",
    "SURVEY",
    "block_numbers",
    "blocks",
    "check_seed",
    "generator",
    "noise_generator",
    "split_code",
]

BLOCK = 64
LARGEST_SEED = 2**128 - 1
# purposes: first element of the spawn key, never to be renumbered
MACRO = 0
DARK_MATTER = 1
NOISE = 2  # of the first band
BAND_NOISE = 3  # of further bands, by their place among the bands
COLOURS = 4
PSF = 5  # by band
SHOT = 6  # of the light
COVERAGE = 7  # of cosmic rays and dead pixels, by band and row
BACKGROUND = 8
SURVEY = 9  # of one square degree
FIELD = 32  # galaxies and stars of a wide field, by row, column and kind of a cell
SPLITS = ("train", "validation", "test")  # second element of the spawn key, by place


def split_code(split: str) -> int:
    """Number of a split in the spawn key; `ConfigError` for a name that is not in `SPLITS`."""
    if split not in SPLITS:
        raise unknown("split", split, SPLITS, code="unknown-split")
    return SPLITS.index(split)


def check_seed(seed: int) -> None:
    """Refuse a seed that cannot be: it lies in 0..2^128 - 1.

    Raises:
        ConfigError: It does not.
    """
    if seed < 0:
        raise ConfigError(
            f"the seed must be at least 0, got {shown(seed)}",
            code="option-range",
            option="seed",
            value=seed,
        )
    if seed > LARGEST_SEED:
        raise ConfigError(
            f"the seed must be at most 2^128 - 1, got {shown(seed)}",
            code="option-range",
            option="seed",
            value=seed,
        )


def generator(
    seed: int, split: str, purpose: int, block: int, *key: int
) -> np.random.Generator:
    """The generator of one block for one purpose; `key` tells streams within the block apart (class, row)."""
    sequence = np.random.SeedSequence(
        seed, spawn_key=(purpose, split_code(split), block, *key)
    )
    return np.random.Generator(np.random.SFC64(sequence))


def noise_generator(
    seed: int, split: str, block: int, band: int, *key: int
) -> np.random.Generator:
    """Return the generator of the noise of one band.

    Args:
        seed: Seed of the data set.
        split: Its split.
        block: Number of the block.
        band: Place of the band among those of the camera. The first has the stream that
            images of one band always had.
        key: Row within the block, for noise with a stream a sample.
    """
    if band == 0:
        return generator(seed, split, NOISE, block, *key)
    return generator(seed, split, BAND_NOISE, block, band, *key)


def block_numbers(block: int) -> np.ndarray:
    """Return the sample numbers of a block.

    Example:
        >>> block_numbers(1)[[0, -1]].tolist()
        [64, 127]
    """
    return np.arange(block * BLOCK, (block + 1) * BLOCK)


def blocks(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Group sample `numbers` (N,) by block: yields (block, positions in `numbers`, rows within the block)."""
    order = np.argsort(numbers, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order] // BLOCK)) + 1
    for positions in np.split(order, edges):
        if len(positions):
            yield int(numbers[positions[0]] // BLOCK), positions, numbers[positions] % BLOCK
