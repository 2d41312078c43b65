"""Random streams: the bits of a sample follow from (seed, split, sample number) and from nothing else.

Samples are drawn in fixed blocks of `BLOCK` consecutive numbers. A block owns one generator per purpose, made with a
SeedSequence spawn key; whatever wants one sample draws its block and takes its row. So the bits do not depend on
how many samples are asked for, on shards, batches, workers, order or resumption.
"""

from collections.abc import Iterator

import numpy as np

from lenssim.errors import unknown

__all__ = [
    "BLOCK",
    "DARK_MATTER",
    "MACRO",
    "NOISE",
    "SPLITS",
    "blocks",
    "generator",
    "split_code",
]

BLOCK = 64
MACRO, DARK_MATTER, NOISE = (
    0,
    1,
    2,
)  # purposes: first element of the spawn key, never to be renumbered
SPLITS = ("train", "validation", "test")  # second element of the spawn key, by place


def split_code(split: str) -> int:
    """Number of a split in the spawn key; `ConfigError` for a name that is not in `SPLITS`."""
    if split not in SPLITS:
        raise unknown("split", split, SPLITS, code="unknown-split")
    return SPLITS.index(split)


def generator(
    seed: int, split: str, purpose: int, block: int, *key: int
) -> np.random.Generator:
    """The generator of one block for one purpose; `key` tells streams within the block apart (class, row)."""
    sequence = np.random.SeedSequence(
        seed, spawn_key=(purpose, split_code(split), block, *key)
    )
    return np.random.Generator(np.random.SFC64(sequence))


def blocks(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Group sample `numbers` (N,) by block: yields (block, positions in `numbers`, rows within the block)."""
    order = np.argsort(numbers, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order] // BLOCK)) + 1
    for positions in np.split(order, edges):
        if len(positions):
            yield int(numbers[positions[0]] // BLOCK), positions, numbers[positions] % BLOCK
