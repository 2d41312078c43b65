"""Additions: the companions and clumps that minima need beside a smooth source."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from lenssim.simulate.fit.clumps import CLUMP_COST, CLUMPS_A_ROUND, clumps_of
from lenssim.simulate.fit.companions import (
    COMPANION_COST,
    MAX_COMPANIONS,
    companion_columns,
    companions_of,
)
from lenssim.simulate.fit.marquardt import minimise
from lenssim.simulate.fit.projection import Evaluation, GaussianModel

__all__ = ["GOOD", "Fits", "joined", "plain_fits", "polished", "with_additions"]

_ROUNDS = 3
_TRIED = 3  # minima of a lens that get additions
_POLISHED = 2
GOOD = 1.2  # times the chi2 that noise gives: such a fit needs no addition
_FAR_WORSE = 3.0  # times the best objective: such a minimum gets none
_STEPS = 8
_POLISHING_STEPS = 15
_LENS_FREE = list(range(11))


@dataclass(frozen=True)
class Fits:
    """Fits of rows, with their additions; NaN where there is none.

    Attributes:
        values: Parameters (N, 22).
        state: What the model is there.
        companions: x, y, e1 and e2 of galaxies beside the lens (N, C, 4).
        clumps: x, y and standard deviation of spots of the source (N, D, 3).
    """

    values: Tensor
    state: Evaluation
    companions: Tensor
    clumps: Tensor

    @property
    def objective(self) -> Tensor:
        """The objective (N,) with the costs of all additions."""
        companions = self.companions[..., 0].isfinite().sum(1)
        clumps = self.clumps[..., 0].isfinite().sum(1)
        return self.state.objective + COMPANION_COST * companions + CLUMP_COST * clumps


def plain_fits(values: Tensor, state: Evaluation, companions: Tensor | None = None) -> Fits:
    """Return fits without additions, or with companions (N, C, 4) that they had before."""
    if companions is None:
        companions = values.new_full((len(values), MAX_COMPANIONS, 4), torch.nan)
    clumps = values.new_full((len(values), _ROUNDS * CLUMPS_A_ROUND, 3), torch.nan)
    return Fits(values, state, companions, clumps)


def joined(first: Fits, second: Fits) -> Fits:
    """Return the rows of two tables of fits of one model, those of the first before."""
    names = [field.name for field in fields(Evaluation)]
    states = [
        torch.cat([getattr(fits.state, name) for fits in (first, second)]) for name in names
    ]
    tables = [
        torch.cat([getattr(fits, name) for fits in (first, second)])
        for name in ("values", "companions", "clumps")
    ]
    return Fits(tables[0], Evaluation(*states), *tables[1:])


def with_additions(
    model: GaussianModel,
    fits: Fits,
    owners: Tensor,
    free: list[int],
    fixed: Tensor,
    expected: Tensor,
) -> Fits:
    """Give the best minima of each lens what lowers their objective by more than its cost.

    In each round a minimum gets either a companion, or clumps of its source, whichever
    gains more. The light of the lens keeps its shape, until the best minima are fitted once
    more with all parameters free.

    Args:
        model: The model of the rows.
        fits: Their fits.
        owners: The lens (N,) of each row.
        free: Columns of values that may move.
        fixed: Free parameters (N, F) that must not move in some rows.
        expected: Chi2 a pixel (N,) that noise alone gives. A lens whose best minimum comes
            near it needs no addition.
    """
    pixels = (model.stamps.weights > 0).sum(1)
    for _ in range(_ROUNDS):
        best = _best(fits, owners, 1)
        is_poor = fits.state.chi2[best] > GOOD * (expected * pixels)[best]
        rows = _best(fits, owners, _TRIED)
        rows = rows[torch.isin(owners[rows], owners[best[is_poor]])]
        if not len(rows):
            break
        fits = _round(model, fits, rows, fixed)
    if bool(fits.companions.isfinite().any() | fits.clumps.isfinite().any()):
        fits = polished(model, fits, owners, free, fixed)
    return fits


def _best(fits: Fits, owners: Tensor, count: int) -> Tensor:
    """Return the rows of the best fits of each lens, at most `count`, none far worse."""
    objective = fits.objective
    chosen = []
    for owner in owners.unique().tolist():
        rows = torch.nonzero(owners == owner)[:, 0]
        rows = rows[torch.argsort(objective[rows], stable=True)][:count]
        chosen.append(rows[objective[rows] < _FAR_WORSE * objective[rows[0]]])
    return torch.cat(chosen)


def _round(model: GaussianModel, fits: Fits, rows: Tensor, fixed: Tensor) -> Fits:
    """Give some rows one companion or some clumps more, where they pay."""
    pixels = (model.stamps.weights > 0).sum(1)
    scale = (fits.state.chi2 / pixels).clamp(min=0.5)
    companions = fits.companions.clone()
    clumps = fits.clumps.clone()
    changed = []
    for row in rows.tolist():
        change = _addition(model, fits, row, float(scale[row]))
        if change is None:
            continue
        companions[row], clumps[row] = change
        changed.append(row)
    if not changed:
        return fits
    rows = torch.tensor(changed, device=rows.device)
    trial = replace(fits, companions=companions, clumps=clumps)
    part = _model_of(model, rows, trial)
    light = part.light_columns(fits.values[rows])[:, : part.light_count]
    part = replace(part, fixed_light=light)
    values, state = minimise(
        part, fits.values[rows], _LENS_FREE, fixed=fixed[rows][:, :11], steps=_STEPS
    )
    return _accepted(fits, trial, rows, values, state, scale)


def _addition(
    model: GaussianModel, fits: Fits, row: int, scale: float
) -> tuple[Tensor, Tensor] | None:
    """Return the companions and clumps of a row with one addition more; None: none pays."""
    rows = torch.tensor([row], device=fits.values.device)
    part = _model_of(model, rows, fits)
    residual = fits.state.residual[rows]
    companions = fits.companions[row].clone()
    clumps = fits.clumps[row].clone()
    cost = residual.new_tensor([COMPANION_COST * scale])
    shapes, gains = companions_of(part.stamps, residual, cost)
    spots, spot_gain = clumps_of(part, fits.values[rows], residual, CLUMP_COST * scale)
    place = int(companions[:, 0].isfinite().sum())
    has_room = place < len(companions) and bool(shapes[0, 0].isfinite())
    if has_room and float(gains[0]) > spot_gain:
        companions[place] = shapes[0]
        return companions, clumps
    count = int(spots[:, 0].isfinite().sum())
    if not count:
        return None
    place = int(clumps[:, 0].isfinite().sum())
    clumps[place : place + count] = spots[:count]
    return companions, clumps


def _model_of(model: GaussianModel, rows: Tensor, fits: Fits) -> GaussianModel:
    """Return the model of some rows with their additions."""
    part = model.take(rows)
    clumps = fits.clumps[rows]
    count = int(clumps[..., 0].isfinite().sum(1).max())
    if count:
        part = replace(part, clumps=clumps[:, :count])
    companions = fits.companions[rows]
    count = int(companions[..., 0].isfinite().sum(1).max())
    if count:
        columns = companion_columns(part.stamps, companions[:, :count])
        part = replace(part, companions=columns)
    return part


def polished(
    model: GaussianModel, fits: Fits, owners: Tensor, free: list[int], fixed: Tensor
) -> Fits:
    """Fit the best rows of each lens once more beside their additions.

    Args:
        model: The model of the rows.
        fits: Their fits.
        owners: The lens (N,) of each row.
        free: Columns of values that may move.
        fixed: Free parameters (N, F) that must not move in some rows.
    """
    rows = _best(fits, owners, _POLISHED)
    part = _model_of(model, rows, fits)
    values, state = minimise(
        part, fits.values[rows], free, fixed=fixed[rows], steps=_POLISHING_STEPS
    )
    return _accepted(fits, fits, rows, values, state, torch.ones_like(fits.objective))


def _accepted(
    fits: Fits, trial: Fits, rows: Tensor, values: Tensor, state: Evaluation, scale: Tensor
) -> Fits:
    """Return fits with those rows of a trial whose objective is lower, costs included."""
    costs = trial.objective - trial.state.objective
    costs = costs - (fits.objective - fits.state.objective)
    better = state.objective + (costs * scale)[rows] < fits.state.objective[rows]
    accepted = rows[better]
    count = fits.state.amplitudes.shape[1]
    merged = Evaluation(
        fits.state.objective.clone(),
        fits.state.chi2.clone(),
        fits.state.residual.clone(),
        fits.state.slopes,
        fits.state.amplitudes.clone(),
        fits.state.active,
    )
    for name in ("objective", "chi2", "residual"):
        getattr(merged, name)[accepted] = getattr(state, name)[better]
    merged.amplitudes[accepted] = state.amplitudes[better][:, :count]
    result = Fits(fits.values.clone(), merged, fits.companions.clone(), fits.clumps.clone())
    result.values[accepted] = values[better]
    result.companions[accepted] = trial.companions[accepted]
    result.clumps[accepted] = trial.clumps[accepted]
    return result
