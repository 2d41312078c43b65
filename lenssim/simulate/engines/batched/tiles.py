"""Rays in tiles of 64 neighbours on the sky, some tiles a row.

Perturbers that are near a ray are near its tile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "FEW_RAYS",
    "RASTER",
    "RAYS",
    "TILE",
    "TILED",
    "Rows",
    "grid_rays",
    "grid_rows",
    "joined",
    "on_grid",
    "scattered_rows",
    "untiled",
]

SIDE = 8
TILE = SIDE * SIDE  # rays a tile
RAYS = 64 * TILE  # rays a row of a grid: one 64 x 64 stamp
FEW_RAYS = 16 * TILE  # rays a row where pixels are refined


TILED = "tiled"  # order of rays: tile by tile, for perturbers that are near some tiles only
RASTER = "raster"  # row by row, as images are


@dataclass(frozen=True)
class Rows:
    """Rows of P rays in tiles: `rays` (R, 2, P) [arcsec] and the scene of each, `owner` (R,) int64.

    `same` says that all rows have the same rays.
    """

    rays: Tensor
    owner: Tensor
    same: bool = False

    def of(self, numbers: Tensor) -> Tensor:
        """Return the rays (r, 2, P) of the rows `numbers` (r,)."""
        if self.same:
            return self.rays[: len(numbers)]
        return self.rays[numbers]

    def __len__(self) -> int:
        return len(self.owner)

    def tiles(self) -> Tensor:
        """Return the rays (R, tiles, 2, TILE) tile by tile."""
        return self.rays.unflatten(2, (-1, TILE)).transpose(1, 2)


@lru_cache(maxsize=8)
def grid_rows(side: int, step: float) -> np.ndarray:
    """Return rays (T, 2, RAYS) float64 [arcsec] of a square grid about (0, 0).

    They are tile by tile, the tiles row by row. The grid is continued to whole tiles, and
    the tiles to whole rows.

    Args:
        side: Rays a side.
        step: Distance of rays [arcsec].
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


@lru_cache(maxsize=8)
def _raster_rows(side: int, step: float) -> np.ndarray:
    """Return the rays of `grid_rows` (T, 2, RAYS), row by row; the last is repeated."""
    axis = (np.arange(side) - (side - 1) / 2) * step
    x, y = np.meshgrid(axis, axis)
    rays = np.stack([x.ravel(), y.ravel()])
    rows = -(-(side**2) // RAYS)
    filled = np.pad(rays, ((0, 0), (0, rows * RAYS - side**2)), mode="edge")
    return np.ascontiguousarray(filled.reshape(2, rows, RAYS).transpose(1, 0, 2))


@lru_cache(maxsize=4)
def _repeated(
    side: int, step: float, grid: str, dtype: torch.dtype, device: torch.device, count: int
) -> list[Tensor]:
    rows = (grid_rows if grid == TILED else _raster_rows)(side, step)
    return [
        torch.from_numpy(rays).to(dtype).to(device).repeat(count, 1, 1) for rays in rows
    ]


def grid_rays(
    side: int, step: float, grid: str, dtype: torch.dtype, device: torch.device, count: int
) -> list[Tensor]:
    """Return the rays (count or more, 2, RAYS) [arcsec] of a square grid, the same for each scene.

    Args:
        side: Rays a side.
        step: Distance of rays [arcsec].
        grid: `TILED` or `RASTER`.
        dtype: Type of the rays.
        device: Device of the rays.
        count: Number of scenes.
    """
    room = 1 << max(0, count - 1).bit_length()
    if side**2 > RAYS:  # larger grids are not worth their memory
        return _repeated.__wrapped__(side, step, grid, dtype, device, count)
    return _repeated(side, step, grid, dtype, device, room)


def on_grid(values: Tensor, side: int, grid: str) -> Tensor:
    """Return values (N, side, side), of those in the order of a grid's rays (N, T * RAYS)."""
    if grid == TILED:
        return untiled(values, side)
    return values[:, : side**2].unflatten(1, (side, side))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return the values of all rays, of those of some rays each."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat(list(parts), dim=-1)


def untiled(values: Tensor, side: int) -> Tensor:
    """Return values (N, side, side), of those in the order of `grid_rows` (N, T * RAYS)."""
    across = -(-side // SIDE)
    tiles = values[:, : across * across * TILE].unflatten(1, (across, across, SIDE, SIDE))
    return tiles.transpose(2, 3).reshape(len(values), across * SIDE, across * SIDE)[
        :, :side, :side
    ]


def scattered_rows(points: Tensor, scene: Tensor, scenes: int) -> tuple[Rows, Tensor]:
    """Return rows of FEW_RAYS rays with groups of points.

    A row has points of one scene. The remainder of a row repeats its first ray.

    Args:
        points: F groups of n points (F, 2, n), n a divisor of FEW_RAYS [arcsec].
        scene: Their scenes (F,), ascending.
        scenes: Number of scenes.

    Returns:
        The rows, and the position (F,) of each group, counted in groups of n rays over all
        rows.
    """
    room = FEW_RAYS // points.shape[2]  # groups a row
    counts = torch.bincount(scene, minlength=scenes)
    rows = (counts + room - 1) // room
    starts = torch.cumsum(counts, 0) - counts
    rank = torch.arange(len(scene), device=scene.device) - starts[scene]
    groups = (torch.cumsum(rows, 0) - rows)[scene] * room + rank
    rays = points.new_empty(int(rows.sum()) * room, 2, points.shape[2])
    rays[groups] = points
    rays = rays.unflatten(0, (-1, room))
    filled = torch.zeros(len(rays) * room, dtype=torch.bool, device=scene.device)
    filled[groups] = True
    empty = torch.nonzero(~filled)[:, 0]
    rays[empty // room, empty % room] = rays[empty // room, 0, :, :1]
    owner = torch.repeat_interleave(torch.arange(scenes, device=rows.device), rows)
    return Rows(rays.transpose(1, 2).flatten(2), owner.cpu()), groups
