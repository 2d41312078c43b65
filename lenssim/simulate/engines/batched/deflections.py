"""Deflections of perturbers: ragged tables of masses summed over rays, in bounded memory."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.rays import (
    FAR_FIELD,
    POINT_COLUMNS,
    Deflect,
    SummedPoints,
)
from lenssim.simulate.engines.batched.tiles import TILE, Rows
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Perturbers, Scenes

__all__ = ["Deflections"]

FAR_ERROR = {
    torch.float32: 1e-8,
    torch.float64: 0.0,
}  # arcsec, of one perturber taken for a point; 0 takes none
MOST = 2048  # perturbers of a row in one call
ENTRIES = {
    True: 1 << 18,
    False: 1 << 11,
}  # perturbers in one call over all rows; eager kernels hold them times rays
NEAR = 32  # perturbers of a tile in one call


class Deflections:
    """Sums the deflections of perturbers; one of these serves one precision and device."""

    def __init__(self, dtype: torch.dtype, device: torch.device, compiled: bool) -> None:
        self.dtype = dtype
        self.device = device
        self.compiled = compiled

    def __call__(self, scenes: Scenes, rows: Rows) -> Tensor:
        """Deflection (R, 2, P) [arcsec] at rows of rays, of all perturbers of their scenes."""
        alpha = torch.zeros(
            len(rows), 2, rows.rays.shape[2], dtype=self.dtype, device=self.device
        )
        for kind, table in scenes.perturbers.items():
            names = PROFILES[kind].columns
            columns = torch.from_numpy(
                np.stack([table.columns[name] for name in names], axis=1)
            )
            places = (
                columns[:, [names.index(name) for name in POINT_COLUMNS[2:]]]
                if "center_x" in names
                else None
            )
            if kind == "point_mass":
                strength = columns[:, [names.index("theta_E")]] ** 2
                self._add(
                    alpha,
                    rows,
                    None,
                    torch.cat([strength, 0 * strength, places], dim=1),
                    table,
                )
            elif kind in FAR_FIELD and FAR_ERROR[self.dtype] > 0:
                values = {
                    name: column
                    for name, column in zip(names, columns.T, strict=True)
                    if name[:6] != "center"
                }
                strength, softening, reach = FAR_FIELD[kind](
                    **values, error=FAR_ERROR[self.dtype]
                )
                points = torch.stack([strength, softening], dim=1)
                self._add(alpha, rows, None, torch.cat([points, places], dim=1), table)
                self._add_near(
                    alpha,
                    rows,
                    kind,
                    torch.cat([columns, points], dim=1),
                    _within(rows, places, reach, table),
                )
            else:
                self._add(alpha, rows, kind, columns, table)
        return alpha

    def _add(
        self,
        alpha: Tensor,
        rows: Rows,
        kind: str | None,
        columns: Tensor,
        table: Perturbers,
    ) -> None:
        """Add perturbers (M, c) of a kind, or softened points for None, at all rays of the rows."""
        deflect = _deflect(kind, False, self.dtype, self.device, self.compiled)
        flat = self._with_idle(kind, columns)
        counts = torch.from_numpy(table.counts)[rows.owner]
        starts = torch.from_numpy(table.offset[:-1])[rows.owner]
        for first in range(0, int(counts.max()), MOST):
            for own, index in self._batches(
                starts + first, (counts - first).clamp(0, MOST), len(columns)
            ):
                own = own.to(self.device)
                index = index.to(self.device)
                alpha[own] += deflect(rows.rays[own], flat[index])

    def _add_near(
        self,
        alpha: Tensor,
        rows: Rows,
        kind: str,
        columns: Tensor,
        near: tuple[Tensor, Tensor],
    ) -> None:
        """Add what perturbers are more than points where they are `near`: their places, and how many a tile."""
        deflect = _deflect(kind, True, self.dtype, self.device, self.compiled)
        flat = self._with_idle(kind, columns)
        rays = rows.tiles().flatten(0, 1)
        which, counts = near
        which = torch.cat([which, torch.tensor([len(columns)])])  # the idle one
        starts = torch.cumsum(counts, 0) - counts
        more = torch.zeros(len(counts), 2, TILE, dtype=self.dtype, device=self.device)
        for first in range(0, int(counts.max()), NEAR):
            for own, index in self._batches(
                starts + first, (counts - first).clamp(0, NEAR), len(which) - 1
            ):
                own = own.to(self.device)
                index = which[index].to(self.device)
                more[own] += deflect(rays[own], flat[index])
        alpha += more.unflatten(0, (len(rows), -1)).transpose(1, 2).flatten(2)

    def _with_idle(self, kind: str | None, columns: Tensor) -> Tensor:
        """Columns (M + 1, c) in the engine's precision, the last row being a perturber that does nothing."""
        idle = torch.zeros(columns.shape[1], dtype=columns.dtype)
        if kind is not None:
            values = torch.tensor(PROFILES[kind].null_parameters, dtype=columns.dtype)
            idle[: len(values)] = values
        return torch.cat([columns, idle[None]]).to(self.dtype).to(self.device)

    def _batches(
        self, starts: Tensor, counts: Tensor, idle: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows with about as many perturbers: their numbers (r,), and the places (r, K) of their perturbers, K even.

        Places beyond a row's own `counts` are `idle`. What is filled up adds zero, so a row's sum depends on its own
        perturbers alone.
        """
        steps = 2 ** (torch.log2(counts.clamp(min=16)).floor().long() - 3)
        padded = (counts + steps - 1) // steps * steps
        for size in torch.unique(padded[counts > 0]).tolist():
            for own in torch.nonzero(padded == size)[:, 0].split(
                max(1, ENTRIES[self.compiled] // size)
            ):
                within = torch.arange(size)
                yield (
                    own,
                    torch.where(
                        within < counts[own, None], starts[own, None] + within, idle
                    ),
                )


def _within(
    rows: Rows, places: Tensor, reach: Tensor, table: Perturbers
) -> tuple[Tensor, Tensor]:
    """Perturbers within reach of each tile of the rows: places in the table, tile by tile, and how many a tile."""
    rays = rows.tiles().cpu().numpy()
    low = rays.min(3)
    high = rays.max(3)
    centres = (low + high) / 2
    radii = np.linalg.norm(high - low, axis=2) / 2
    x, y, far = (column.numpy().astype(np.float32) for column in (*places.T, reach))
    found = []
    counts = []
    for row, scene in enumerate(rows.owner.tolist()):
        own = slice(table.offset[scene], table.offset[scene + 1])
        (centre_x, centre_y) = centres[row].T
        radius = radii[row]
        across = x[own] - centre_x[:, None]
        along = y[own] - centre_y[:, None]
        near = across**2 + along**2 < (far[own] + radius[:, None]) ** 2
        counts.append(near.sum(1))
        found.append(np.nonzero(near)[1] + own.start)
    return torch.from_numpy(np.concatenate(found)), torch.from_numpy(np.concatenate(counts))


@lru_cache
def _deflect(
    kind: str | None,
    less_points: bool,
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    module = SummedPoints() if kind is None else Deflect(kind, less_points)
    columns = (
        len(POINT_COLUMNS)
        if kind is None
        else len(PROFILES[kind].columns) + 2 * less_points
    )
    rows, tiles, pairs = (torch.export.Dim(name) for name in ("rows", "tiles", "pairs"))
    like = {"dtype": dtype, "device": device}
    example = torch.zeros(3, 2, 3 * TILE, **like), torch.zeros(3, 4, columns, **like)
    dynamic = ({0: rows, 2: TILE * tiles}, {0: rows, 1: 2 * pairs})
    return kernel(
        module, example, f"deflect {kind} {less_points}", dynamic, compiled=compiled
    )
