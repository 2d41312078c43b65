"""Splits: which samples are for training, validation and test, by their numbers alone."""

import numpy as np

from lenssim.errors import unknown
from lenssim.simulate.streams import BLOCK, SPLITS

__all__ = ["SPLIT_PERIOD", "rows_of_split", "split_of"]

SPLIT_PERIOD = 10  # blocks
_HELD_OUT = {1: "validation", 3: "test"}  # block in a period; 256 samples have one of each


def split_of(numbers: np.ndarray) -> np.ndarray:
    """Return the split of each sample: 80 % train, 10 % validation, 10 % test.

    It is a function of the sample number alone, so that a sample never changes sides when
    its data set grows. Blocks stay whole, because one generator draws the samples of a
    block.

    Args:
        numbers: Sample numbers (N,).

    Returns:
        Positions (N,) in `SPLITS`.

    Example:
        >>> import numpy as np
        >>> [SPLITS[i] for i in split_of(np.array([0, 64, 128, 192]))]
        ['train', 'validation', 'train', 'test']
    """
    names = [_HELD_OUT.get(block, "train") for block in range(SPLIT_PERIOD)]
    table = np.array([SPLITS.index(name) for name in names])
    return table[np.asarray(numbers) // BLOCK % SPLIT_PERIOD]


def rows_of_split(index: np.ndarray, split: str | None) -> np.ndarray:
    """Return the rows of a split in a column of sample numbers.

    Args:
        index: Sample numbers (n,).
        split: "train", "validation" or "test"; None for all.

    Returns:
        Rows (K,), rising.

    Raises:
        ConfigError: The split is unknown.
    """
    if split is None:
        return np.arange(len(index))
    if split not in SPLITS:
        raise unknown("split", split, SPLITS, code="unknown-split")
    return np.flatnonzero(split_of(index) == SPLITS.index(split))
