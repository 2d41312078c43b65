"""Rays in tiles: 64 neighbours on the sky, some tiles a row. What is near to a ray is near to its tile."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["FEW_RAYS", "RAYS", "TILE", "Rows", "grid_rows", "scattered_rows", "untiled"]

SIDE = 8
TILE = SIDE * SIDE  # rays a tile
RAYS = 64 * TILE  # rays a row of a grid: one 64 x 64 stamp
FEW_RAYS = 16 * TILE  # rays a row where pixels are refined


@dataclass(frozen=True)
class Rows:
    """Rows of P rays, whole tiles: `rays` (R, 2, P) [arcsec], and the scene of each, `owner` (R,) int64."""

    rays: Tensor
    owner: Tensor

    def __len__(self) -> int:
        return len(self.owner)

    def tiles(self) -> Tensor:
        """Rays (R, tiles, 2, TILE) tile by tile."""
        return self.rays.unflatten(2, (-1, TILE)).transpose(1, 2)


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
    filled = np.concatenate(
        [rays, np.repeat(rays[:, -1:], rows * RAYS - rays.shape[1], axis=1)], axis=1
    )
    return np.ascontiguousarray(filled.reshape(2, rows, RAYS).transpose(1, 0, 2))


def untiled(values: Tensor, side: int) -> Tensor:
    """Values (N, side, side) at the rays of `grid_rows`, from those in its order (N, T * RAYS)."""
    across = -(-side // SIDE)
    tiles = values[:, : across * across * TILE].unflatten(1, (across, across, SIDE, SIDE))
    return tiles.transpose(2, 3).reshape(len(values), across * SIDE, across * SIDE)[
        :, :side, :side
    ]


def scattered_rows(points: Tensor, scene: Tensor, scenes: int) -> tuple[Rows, Tensor]:
    """Rows of FEW_RAYS rays with `points` (F, 2, n), n a divisor of FEW_RAYS, of the scenes (F,), ascending.

    The second is where each group of points went: (F,), counted in groups of n rays over all rows. A row has points of
    one scene; what is left of it repeats its first ray.
    """
    room = FEW_RAYS // points.shape[2]  # groups a row
    counts = torch.bincount(scene, minlength=scenes)
    rows = (counts + room - 1) // room
    first = torch.cumsum(counts, 0) - counts
    rank = torch.arange(len(scene), device=scene.device) - first[scene]
    place = (torch.cumsum(rows, 0) - rows)[scene] * room + rank
    rays = points.new_empty(int(rows.sum()) * room, 2, points.shape[2])
    rays[place] = points
    rays = rays.unflatten(0, (-1, room))
    used = torch.zeros(len(rays) * room, dtype=torch.bool, device=scene.device)
    used[place] = True
    empty = torch.nonzero(~used)[:, 0]
    rays[empty // room, empty % room] = rays[empty // room, 0, :, :1]
    owner = torch.repeat_interleave(torch.arange(scenes, device=rows.device), rows)
    return Rows(rays.transpose(1, 2).flatten(2), owner.cpu()), place
