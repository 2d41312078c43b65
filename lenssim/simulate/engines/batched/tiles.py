"""Rays in tiles: 64 neighbours on the sky, 64 tiles a row. What is near to a ray is near to its tile."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch import Tensor

__all__ = ["RAYS", "TILE", "TILES", "Rows", "grid_rows", "untiled"]

SIDE = 8
TILE = SIDE * SIDE  # rays a tile
TILES = 64  # tiles a row
RAYS = TILE * TILES  # rays a row: one 64 x 64 stamp


@dataclass(frozen=True)
class Rows:
    """Rows of rays: `rays` (R, 2, RAYS) [arcsec], or (1, 2, RAYS) where all rows have the same; `owner` (R,) int64
    is the scene of each row."""

    rays: Tensor
    owner: Tensor

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def shared(self) -> bool:
        """Whether all rows have the same rays."""
        return len(self.rays) == 1 != len(self)

    def of(self, rows: Tensor) -> Tensor:
        """The rays of `rows` (K,): (K, 2, RAYS), or (1, 2, RAYS) where they are shared."""
        return self.rays if self.shared else self.rays[rows]

    def tiles(self) -> Tensor:
        """Rays (R or 1, TILES, 2, TILE) tile by tile."""
        return self.rays.unflatten(2, (TILES, TILE)).transpose(1, 2)


@lru_cache(maxsize=8)
def grid_rows(side: int, step: float) -> np.ndarray:
    """Rays (T, 2, RAYS) float64 [arcsec] of a square grid about (0, 0), `side` rays of distance `step` a side.

    Tile by tile, the tiles row by row; the grid is continued to whole tiles, and the tiles to whole rows.
    """
    across = -(-side // SIDE)
    axis = ((np.arange(across * SIDE) - (side - 1) / 2) * step).reshape(across, SIDE)
    x = np.broadcast_to(axis[None, :, None, :], (across, across, SIDE, SIDE))
    y = np.broadcast_to(axis[:, None, :, None], (across, across, SIDE, SIDE))
    rays = np.stack([x, y]).reshape(2, -1)
    rows = -(-rays.shape[1] // RAYS)
    filled = np.concatenate([rays, np.repeat(rays[:, -1:], rows * RAYS - rays.shape[1], axis=1)], axis=1)
    return np.ascontiguousarray(filled.reshape(2, rows, RAYS).transpose(1, 0, 2))


def untiled(values: Tensor, side: int) -> Tensor:
    """Values (N, side, side) at the rays of `grid_rows`, from those in its order (N, T * RAYS)."""
    across = -(-side // SIDE)
    tiles = values[:, : across * across * TILE].unflatten(1, (across, across, SIDE, SIDE))
    return tiles.transpose(2, 3).reshape(len(values), across * SIDE, across * SIDE)[:, :side, :side]
