"""Bad pixels of a wide field: single dead ones, and short tracks of cosmic rays."""

import numpy as np

from lenssim.simulate.streams import COVERAGE, generator
from lenssim.simulate.wide.noise import BLOCK_SIDE
from lenssim.simulate.wide.request import MosaicRequest

__all__ = ["FieldLosses"]

_LENGTH = 8  # pixels of the longest track; the shortest is one pixel


class FieldLosses:
    """Draws the bad pixels of a field, block by block.

    Args:
        request: Seed, split, and the share of bad pixels.

    Attributes:
        glare: What a bad pixel has too much, in sigmas of its noise.
    """

    glare = 200.0

    def __init__(self, request: MosaicRequest) -> None:
        self._request = request

    def lost(self, row: int, column: int, band: int) -> np.ndarray:
        """Return which pixels of a block are bad, bool (B, B)."""
        request = self._request
        rng = generator(request.seed, request.split, COVERAGE, row, column, band)
        mean_length = (1 + _LENGTH) / 2
        count = int(rng.poisson(request.bad_pixels * BLOCK_SIDE**2 / mean_length))
        length = rng.integers(1, _LENGTH + 1, count)
        y, x = rng.integers(0, BLOCK_SIDE, (2, count))
        down = rng.integers(0, 2, count)
        step = np.arange(_LENGTH)
        is_on = step < length[:, None]
        rows = np.minimum(y[:, None] + down[:, None] * step, BLOCK_SIDE - 1)
        columns = np.minimum(x[:, None] + (1 - down[:, None]) * step, BLOCK_SIDE - 1)
        lost = np.zeros((BLOCK_SIDE, BLOCK_SIDE), bool)
        lost[rows[is_on], columns[is_on]] = True
        return lost
