"""Which masses are near which tiles of rays."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.engines.batched.tiles import Rows
from lenssim.simulate.engines.batched.zones import Zone
from lenssim.simulate.scenes import Perturbers

__all__ = ["within_reach"]

TILES = 64  # compared at once with the perturbers of a scene


def within_reach(
    rows: Rows, centres: Tensor, zones: Sequence[Zone], table: Perturbers
) -> list[tuple[Tensor, Tensor]]:
    """Return the perturbers in whose zones each tile of the rows lies.

    Args:
        rows: R rows of rays.
        centres: Where M perturbers are (M, 2) [arcsec].
        zones: Zones of these perturbers.
        table: Says which of them belong to which scene.

    Returns:
        Of each zone the perturbers' rows in the table, tile by tile, and their number a
        tile.
    """
    middles, radii = _circles(rows)
    positions = centres.T.numpy().astype(np.float32)
    most = max(1, TILES // middles.shape[1])
    search = _Search(most * middles.shape[1], int(table.counts.max(initial=0)))
    bounds = [_Bounds(zone) for zone in zones]
    indices: list[list[np.ndarray]] = [[] for _ in zones]
    counts: list[list[np.ndarray]] = [[] for _ in zones]
    for scene, some in _groups(rows.owner.numpy(), most):
        part = slice(table.offset[scene], table.offset[scene + 1])
        tiles = middles[some].reshape(-1, 2)
        search.begin(positions[:, part], tiles, radii[some].ravel())
        for number, bound in enumerate(bounds):
            found, count = search.within(bound, part)
            indices[number].append(found)
            counts[number].append(count)
    return [
        (torch.from_numpy(np.concatenate(index)), torch.from_numpy(np.concatenate(count)))
        for index, count in zip(indices, counts, strict=True)
    ]


def _circles(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the circles about tiles: middles (R, tiles, 2) and radii (R, tiles) [arcsec]."""
    rays = rows.tiles().cpu().numpy()
    low = rays.min(3)
    high = rays.max(3)
    return (low + high) / 2, np.linalg.norm(high - low, axis=2) / 2


def _groups(owner: np.ndarray, most: int) -> Iterator[tuple[int, slice]]:
    """Yield the scenes of rows, ascending, and up to `most` of the rows of a scene."""
    ends = np.flatnonzero(np.diff(owner, append=-1)) + 1
    start = 0
    for end in ends.tolist():
        for first in range(start, end, most):
            yield int(owner[start]), slice(first, min(first + most, end))
        start = end


class _Bounds:
    """The bounds of a zone in single precision. A reach of NaN has nothing within it."""

    def __init__(self, zone: Zone) -> None:
        reach = zone.reach.numpy().astype(np.float32)
        self.reach = np.where(reach > 0, reach, np.float32(np.nan))
        self.start: np.ndarray | None = None
        if zone.start is not None:
            self.start = zone.start.numpy().astype(np.float32)


class _Search:
    """Distances of tiles from the perturbers of a scene, in memory that is used again.

    Fresh arrays of this size would cost more than the arithmetic.
    """

    def __init__(self, tiles: int, masses: int) -> None:
        self.numbers = [np.empty(tiles * masses, np.float32) for _ in range(2)]
        self.masks = [np.empty(tiles * masses, bool) for _ in range(2)]

    def begin(self, positions: np.ndarray, middles: np.ndarray, radii: np.ndarray) -> None:
        """Compute the squared distances of tiles from masses at `positions` (2, M)."""
        shape = (len(middles), positions.shape[1])
        size = shape[0] * shape[1]
        self.distance2, self.scratch = (
            array[:size].reshape(shape) for array in self.numbers
        )
        self.nearby, self.mask = (array[:size].reshape(shape) for array in self.masks)
        self.radii = radii[:, None]
        self.starts = np.arange(len(middles) + 1) * shape[1]
        x, y = positions
        np.subtract(x, middles[:, :1], out=self.distance2)
        np.multiply(self.distance2, self.distance2, out=self.distance2)
        np.subtract(y, middles[:, 1:], out=self.scratch)
        np.multiply(self.scratch, self.scratch, out=self.scratch)
        np.add(self.distance2, self.scratch, out=self.distance2)

    def within(self, bounds: _Bounds, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the masses in whose zones the tiles lie, and their number a tile.

        `part` says which rows of the table the masses are.
        """
        np.less(self.distance2, self._squared(bounds.reach[part]), out=self.nearby)
        if bounds.start is not None:
            start = self._squared(bounds.start[part])
            np.greater_equal(self.distance2, start, out=self.mask)
            np.logical_and(self.nearby, self.mask, out=self.nearby)
        found = np.flatnonzero(self.nearby)
        counts = np.diff(np.searchsorted(found, self.starts))
        return found - np.repeat(self.starts[:-1] - part.start, counts), counts

    def _squared(self, bound: np.ndarray) -> np.ndarray:
        """Return the squares of a bound (M,) from the rims of the tiles (tiles, M)."""
        np.add(bound, self.radii, out=self.scratch)
        return np.multiply(self.scratch, self.scratch, out=self.scratch)
