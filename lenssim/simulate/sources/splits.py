"""Splits of files and galaxies, by the hash of each: none ever changes its split."""

from collections.abc import Sequence

import numpy as np

__all__ = ["FEWEST", "rows_of_split"]

FEWEST = 10  # of what is shared out among the splits


def rows_of_split(identities: Sequence[str], code: int) -> np.ndarray:
    """Return which of some things are for a split.

    Of ten about one is for validation, one for test. Where there are ten or more, each
    split has at least one: if none falls into validation or test, the one nearest to it
    does. Fewer are all for training.

    Args:
        identities: Hashes of the contents of each, as hexadecimal texts.
        code: Number of the split, see `streams.split_code`.

    Example:
        >>> rows_of_split(["00" * 32, "ff" * 32], 0).tolist()
        [0, 1]
    """
    place = np.array([int(identity[:12], 16) / 16**12 for identity in identities])
    share = np.digitize(place, (0.8, 0.9))
    if len(place) < FEWEST:
        share = np.zeros(len(place), dtype=np.int64)
    else:
        for split in (2, 1):
            if not (share == split).any():
                train = np.flatnonzero(share == 0)
                share[train[np.argmax(place[train])]] = split
    return np.flatnonzero(share == code)
