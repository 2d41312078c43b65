"""Deflections of perturbers: ragged tables of masses summed over rays, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.simulate.engines.batched.compilation import Axis
from lenssim.simulate.engines.batched.compilers import Job
from lenssim.simulate.engines.batched.far_field import FarField, far_fields
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.nearby import within_reach
from lenssim.simulate.engines.batched.rays import (
    POINT_COLUMNS,
    Deflect,
    SummedPoints,
)
from lenssim.simulate.engines.batched.settings import FAR_HALOES
from lenssim.simulate.engines.batched.summands import SOURCE, SUMMANDS
from lenssim.simulate.engines.batched.tiles import TILE, Rows
from lenssim.simulate.engines.batched.zones import Zone
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Perturbers, Scenes

__all__ = ["Deflections"]

# arcsec, of one perturber replaced by a point; 0 replaces none
FAR_ERROR = {torch.float32: 1e-8, torch.float64: 0.0}
MAX_A_ROW = 2048  # perturbers of a row in one call
# perturbers in one call over all rows, by whether kernels are compiled; eager kernels hold
# them times rays in memory
MAX_A_CALL = {True: 1 << 18, False: 1 << 11}
MAX_A_TILE = 32  # perturbers of a tile in one call, of kinds in full
MAX_OF_SUMMANDS = 1024  # the same, of `SUMMANDS`
MAX_A_ZONE = 1 << 14  # the same over all tiles; their columns stay in the cache


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
        self._split: tuple[object, dict[str, FarField]] = (None, {})

    def __call__(self, scenes: Scenes, rows: Rows) -> Tensor:
        """Return the deflection (R, 2, P) [arcsec] at rows of rays, by all perturbers."""
        alpha = torch.zeros(
            len(rows), 2, rows.rays.shape[2], dtype=self.dtype, device=self.device
        )
        total = _Sum(alpha)
        for kind in scenes.perturbers:
            self._add_kind(total, rows, scenes, kind)
        return alpha

    def jobs(self, scenes: Scenes) -> list[Job]:
        """Return the jobs of the kernels that scenes need, in their order."""
        calls: list[tuple[str | None, bool]] = []
        for kind, table in scenes.perturbers.items():
            if kind == "point_mass":
                calls.append((None, False))
            elif kind in self.far_fields:
                kernels = self.far_fields[kind].kernels(table.columns)
                calls += [(None, False), *((name, True) for name in kernels)]
            else:
                calls.append((kind, False))
        settings = (self.dtype, self.device, self.compiled)
        return [(f"{__name__}:_deflect", (*call, *settings)) for call in calls]

    def need_tiles(self, scenes: Scenes) -> bool:
        """Return whether some perturbers are summed on near tiles only."""
        kinds = [kind for kind, table in scenes.perturbers.items() if table.counts.any()]
        return any(kind in self.far_fields for kind in kinds)

    def _add_kind(self, total: "_Sum", rows: Rows, scenes: Scenes, kind: str) -> None:
        """Add all perturbers of a kind, as points where they are far."""
        table = scenes.perturbers[kind]
        if kind in self.far_fields:
            far = self._far_field(scenes, kind)
            self._add(total, rows, None, far.points, table)
            zones = [zone for zone in far.zones if zone.reach.any()]
            nearby = within_reach(rows, far.points[:, 2:], zones, table)
            for zone, (which, counts) in zip(zones, nearby, strict=True):
                self._add_nearby(total.alpha, rows, zone, which, counts)
            return
        names = PROFILES[kind].columns
        columns = torch.from_numpy(
            np.stack([table.columns[name] for name in names], axis=1)
        )
        if kind != "point_mass":
            self._add(total, rows, kind, columns, table)
            return
        strength = columns[:, [names.index("theta_E")]] ** 2
        centres = columns[:, _centre_columns(names)]
        points = torch.cat([strength, 0 * strength, centres], dim=1)
        self._add(total, rows, None, points, table)

    def _far_field(self, scenes: Scenes, kind: str) -> FarField:
        """Return the far field of the perturbers of a kind, once for all calls of a step."""
        of, fields = self._split
        if of is not scenes.perturbers:
            fields = {}
            self._split = (scenes.perturbers, fields)
        if kind not in fields:
            columns = {
                name: torch.from_numpy(column)
                for name, column in scenes.perturbers[kind].columns.items()
            }
            fields[kind] = self.far_fields[kind].split(columns, FAR_ERROR[self.dtype])
        return fields[kind]

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
        self, alpha: Tensor, rows: Rows, zone: Zone, which: Tensor, counts: Tensor
    ) -> None:
        """Add what perturbers deflect more than their points, on the tiles of a zone.

        `which` and `counts` are what `within_reach` returns.
        """
        if not len(which):
            return
        deflect = _deflect(zone.kernel, True, self.dtype, self.device, self.compiled)
        flat = self._with_null(zone.kernel, zone.columns)
        rays = rows.tiles().flatten(0, 1)
        which = torch.cat([which, torch.tensor([len(zone.columns)])])  # the null perturber
        starts = torch.cumsum(counts, 0) - counts
        total = torch.zeros(len(counts), 2, TILE, dtype=self.dtype, device=self.device)
        most = MAX_OF_SUMMANDS if zone.kernel in SUMMANDS else MAX_A_TILE
        for start in range(0, int(counts.max()), most):
            batches = self._batches(
                starts + start,
                (counts - start).clamp(0, most),
                len(which) - 1,
                MAX_A_ZONE,
            )
            for numbers, index in batches:
                numbers = numbers.to(self.device)
                masses = which[index.flatten()].to(self.device)
                columns = flat.index_select(0, masses).unflatten(0, index.shape)
                total[numbers] += deflect(rays.index_select(0, numbers), columns)
        alpha += total.unflatten(0, (len(rows), -1)).transpose(1, 2).flatten(2)

    def _with_null(self, kind: str | None, columns: Tensor) -> Tensor:
        """Return columns (M + 1, c) in the engine's precision; the last row deflects nothing."""
        null = torch.zeros(columns.shape[1], dtype=columns.dtype)
        if kind is not None:
            values = torch.tensor(_null_columns(kind), dtype=columns.dtype)
            null[: len(values)] = values
        return torch.cat([columns, null[None]]).to(self.dtype).to(self.device)

    def _batches(
        self, starts: Tensor, counts: Tensor, null: int, most: int = MAX_A_CALL[True]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield rows with similar numbers of perturbers, and the indices of these.

        Numbers of rows are (r,), indices (r, K) with K even. Indices beyond a row's own `counts`
        are `null`. Null perturbers add zero, so a row's sum depends on its own perturbers alone.
        """
        steps = 2 ** (torch.log2(counts.clamp(min=16)).floor().long() - 3)
        padded = (counts + steps - 1) // steps * steps
        for size in torch.unique(padded[counts > 0]).tolist():
            rows = torch.nonzero(padded == size)[:, 0]
            for numbers in rows.split(max(1, min(most, MAX_A_CALL[self.compiled]) // size)):
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


def _null_columns(kind: str) -> Sequence[float]:
    """Return the columns of a perturber of a kind, or of `SUMMANDS`, that deflects nothing."""
    if kind in SUMMANDS:
        return SUMMANDS[kind].null
    return PROFILES[kind].null_parameters


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
    name = f"deflect {kind} {less_points}"
    if kind in SUMMANDS:
        module = SUMMANDS[kind]()
        columns = len(SUMMANDS[kind].null)
        name = f"deflect {kind} {SOURCE}"
    elif kind is not None:
        module = Deflect(kind, less_points)
        columns = len(PROFILES[kind].columns) + 2 * less_points
    example = (
        torch.zeros(3, 2, 3 * TILE, dtype=dtype, device=device),
        torch.zeros(3, 4, columns, dtype=dtype, device=device),
    )
    rows = Axis("rows")
    dynamic = ({0: rows, 2: Axis("tiles", TILE)}, {0: rows, 1: Axis("pairs", 2)})
    return kernel(module, example, name, dynamic, compiled=compiled)
