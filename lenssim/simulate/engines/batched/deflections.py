"""Deflections of perturbers: ragged tables of masses summed over rays, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.simulate.engines.batched.compilation import Axis
from lenssim.simulate.engines.batched.compilers import Job
from lenssim.simulate.engines.batched.far_field import far_fields
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.rays import (
    POINT_COLUMNS,
    Deflect,
    SummedPoints,
)
from lenssim.simulate.engines.batched.settings import FAR_HALOES
from lenssim.simulate.engines.batched.tiles import TILE, Rows
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Perturbers, Scenes

__all__ = ["Deflections"]

# arcsec, of one perturber replaced by a point; 0 replaces none
FAR_ERROR = {torch.float32: 1e-8, torch.float64: 0.0}
MAX_A_ROW = 2048  # perturbers of a row in one call
# perturbers in one call over all rows, by whether kernels are compiled; eager kernels hold
# them times rays in memory
MAX_A_CALL = {True: 1 << 18, False: 1 << 11}
MAX_A_TILE = 32  # perturbers of a tile in one call


class Deflections:
    """Sums the deflections of perturbers, for one precision and device."""

    def __init__(
        self,
        dtype: torch.dtype,
        device: torch.device,
        compiled: bool,
        far_field: str = FAR_HALOES,
    ) -> None:
        self.far_fields = far_fields(far_field) if FAR_ERROR[dtype] > 0 else {}
        self.dtype = dtype
        self.device = device
        self.compiled = compiled

    def __call__(self, scenes: Scenes, rows: Rows) -> Tensor:
        """Return the deflection (R, 2, P) [arcsec] at rows of rays, by all perturbers."""
        alpha = torch.zeros(
            len(rows), 2, rows.rays.shape[2], dtype=self.dtype, device=self.device
        )
        total = _Sum(alpha)
        for kind, table in scenes.perturbers.items():
            self._add_kind(total, rows, kind, table)
        return alpha

    def jobs(self, scenes: Scenes) -> list[Job]:
        """Return the jobs of the kernels that scenes need, in their order."""
        calls: list[tuple[str | None, bool]] = []
        for kind in scenes.perturbers:
            if kind == "point_mass":
                calls.append((None, False))
            elif kind in self.far_fields:
                calls += [(None, False), (kind, True)]
            else:
                calls.append((kind, False))
        settings = (self.dtype, self.device, self.compiled)
        return [(f"{__name__}:_deflect", (*call, *settings)) for call in calls]

    def need_tiles(self, scenes: Scenes) -> bool:
        """Return whether some perturbers are summed on near tiles only."""
        kinds = [kind for kind, table in scenes.perturbers.items() if table.counts.any()]
        return any(kind in self.far_fields for kind in kinds)

    def _add_kind(self, total: "_Sum", rows: Rows, kind: str, table: Perturbers) -> None:
        """Add all perturbers of a kind, as points where they are far."""
        names = PROFILES[kind].columns
        columns = torch.from_numpy(
            np.stack([table.columns[name] for name in names], axis=1)
        )
        if kind == "point_mass":
            strength = columns[:, [names.index("theta_E")]] ** 2
            centres = columns[:, _centre_columns(names)]
            points = torch.cat([strength, 0 * strength, centres], dim=1)
            self._add(total, rows, None, points, table)
        elif kind in self.far_fields:
            centres = columns[:, _centre_columns(names)]
            strength, softening, reach = self._far_field(kind, columns)
            points = torch.stack([strength, softening], dim=1)
            self._add(total, rows, None, torch.cat([points, centres], dim=1), table)
            differences = torch.cat([columns, points], dim=1)
            nearby = _within_reach(rows, centres, reach, table)
            self._add_nearby(total.alpha, rows, kind, differences, nearby)
        else:
            self._add(total, rows, kind, columns, table)

    def _far_field(self, kind: str, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the points that perturbers are from afar: strength, softening and reach."""
        names = PROFILES[kind].columns
        values = {
            name: column
            for name, column in zip(names, columns.T, strict=True)
            if name[:6] != "center"
        }
        return self.far_fields[kind](**values, error=FAR_ERROR[self.dtype])

    def _add(
        self,
        total: "_Sum",
        rows: Rows,
        kind: str | None,
        columns: Tensor,
        table: Perturbers,
    ) -> None:
        """Add perturbers (M, c) of a kind, or softened points for None, at all rays."""
        deflect = _deflect(kind, False, self.dtype, self.device, self.compiled)
        flat = self._with_null(kind, columns)
        counts = torch.from_numpy(table.counts)[rows.owner]
        starts = torch.from_numpy(table.offset[:-1])[rows.owner]
        for start in range(0, int(counts.max()), MAX_A_ROW):
            batches = self._batches(
                starts + start, (counts - start).clamp(0, MAX_A_ROW), len(columns)
            )
            for numbers, index in batches:
                numbers = numbers.to(self.device)
                index = index.to(self.device)
                total.add(numbers, deflect(rows.of(numbers), flat[index]))
            total.is_zero = False

    def _add_nearby(
        self,
        alpha: Tensor,
        rows: Rows,
        kind: str,
        columns: Tensor,
        nearby: tuple[Tensor, Tensor],
    ) -> None:
        """Add the difference between perturbers and their points, on tiles within reach.

        `nearby` is what `_within_reach` returns.
        """
        deflect = _deflect(kind, True, self.dtype, self.device, self.compiled)
        flat = self._with_null(kind, columns)
        rays = rows.tiles().flatten(0, 1)
        which, counts = nearby
        which = torch.cat([which, torch.tensor([len(columns)])])  # the null perturber
        starts = torch.cumsum(counts, 0) - counts
        total = torch.zeros(len(counts), 2, TILE, dtype=self.dtype, device=self.device)
        for start in range(0, int(counts.max()), MAX_A_TILE):
            batches = self._batches(
                starts + start, (counts - start).clamp(0, MAX_A_TILE), len(which) - 1
            )
            for numbers, index in batches:
                numbers = numbers.to(self.device)
                index = which[index].to(self.device)
                total[numbers] += deflect(rays[numbers], flat[index])
        alpha += total.unflatten(0, (len(rows), -1)).transpose(1, 2).flatten(2)

    def _with_null(self, kind: str | None, columns: Tensor) -> Tensor:
        """Return columns (M + 1, c) in the engine's precision; the last row deflects nothing."""
        null = torch.zeros(columns.shape[1], dtype=columns.dtype)
        if kind is not None:
            values = torch.tensor(PROFILES[kind].null_parameters, dtype=columns.dtype)
            null[: len(values)] = values
        return torch.cat([columns, null[None]]).to(self.dtype).to(self.device)

    def _batches(
        self, starts: Tensor, counts: Tensor, null: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield rows with similar numbers of perturbers, and the indices of these.

        Numbers of rows are (r,), indices (r, K) with K even. Indices beyond a row's own `counts`
        are `null`. Null perturbers add zero, so a row's sum depends on its own perturbers alone.
        """
        steps = 2 ** (torch.log2(counts.clamp(min=16)).floor().long() - 3)
        padded = (counts + steps - 1) // steps * steps
        for size in torch.unique(padded[counts > 0]).tolist():
            rows = torch.nonzero(padded == size)[:, 0]
            for numbers in rows.split(max(1, MAX_A_CALL[self.compiled] // size)):
                rank = torch.arange(size)
                valid = rank < counts[numbers, None]
                yield numbers, torch.where(valid, starts[numbers, None] + rank, null)


class _Sum:
    """A deflection `alpha` (R, 2, P) that is summed up from zero, some rows at a time."""

    def __init__(self, alpha: Tensor) -> None:
        self.alpha = alpha
        self.is_zero = True

    def add(self, numbers: Tensor, deflection: Tensor) -> None:
        """Add a deflection (r, 2, P) to the rows `numbers` (r,), all different."""
        if self.is_zero:
            self.alpha.index_copy_(0, numbers, deflection)
        else:
            self.alpha.index_add_(0, numbers, deflection)


def _centre_columns(names: Sequence[str]) -> list[int]:
    return [names.index(name) for name in POINT_COLUMNS[2:]]


def _within_reach(
    rows: Rows, centres: Tensor, reach: Tensor, table: Perturbers
) -> tuple[Tensor, Tensor]:
    """Return the perturbers within reach of each tile of the rows.

    Returns:
        Their rows in the table, tile by tile, and their number a tile.
    """
    rays = rows.tiles().cpu().numpy()
    low = rays.min(3)
    high = rays.max(3)
    tile_centres = (low + high) / 2
    radii = np.linalg.norm(high - low, axis=2) / 2
    x, y, far = (column.numpy().astype(np.float32) for column in (*centres.T, reach))
    indices = []
    counts = []
    for row, scene in enumerate(rows.owner.tolist()):
        part = slice(table.offset[scene], table.offset[scene + 1])
        tile_x, tile_y = tile_centres[row].T
        across = x[part] - tile_x[:, None]
        along = y[part] - tile_y[:, None]
        nearby = across**2 + along**2 < (far[part] + radii[row][:, None]) ** 2
        counts.append(nearby.sum(1))
        indices.append(np.nonzero(nearby)[1] + part.start)
    return torch.from_numpy(np.concatenate(indices)), torch.from_numpy(
        np.concatenate(counts)
    )


@lru_cache
def _deflect(
    kind: str | None,
    less_points: bool,
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    module: nn.Module = SummedPoints()
    columns = len(POINT_COLUMNS)
    if kind is not None:
        module = Deflect(kind, less_points)
        columns = len(PROFILES[kind].columns) + 2 * less_points
    example = (
        torch.zeros(3, 2, 3 * TILE, dtype=dtype, device=device),
        torch.zeros(3, 4, columns, dtype=dtype, device=device),
    )
    rows = Axis("rows")
    dynamic = ({0: rows, 2: Axis("tiles", TILE)}, {0: rows, 1: Axis("pairs", 2)})
    return kernel(
        module, example, f"deflect {kind} {less_points}", dynamic, compiled=compiled
    )
