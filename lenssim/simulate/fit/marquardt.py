"""Levenberg and Marquardt's method for many rows at once; finished rows are dropped."""

from collections.abc import Callable

import torch
from torch import Tensor

from lenssim.simulate.fit.projection import Evaluation, GaussianModel, number_of

__all__ = ["HIGHEST", "LOWEST", "bounded", "minimise"]

_INITIAL_DAMPING = 1e-2
_MIN_DAMPING = 1e-6
_MAX_DAMPING = 1e6
_SOFTER = 0.15
_HARDER = 6.0
_MAX_ELLIPTICITY = 0.65
_TRIALS = 6  # of dampings for one step
HIGHEST = (
    3.0,
    0.6,
    0.6,
    9.0,
    9.0,
    0.35,
    0.35,
    2.0,
    2.0,
    0.6,
    0.6,
    9.0,
    9.0,
    *[0.7] * 4,
    *[0.2] * 4,
    0.6,
)
LOWEST = (0.2, *(-value for value in HIGHEST[1:]))
_ELLIPTICITIES = ("e1", "source_e1", "light_e1", "light_e1_b")

Proposal = Callable[[Tensor], Tensor]


def bounded(values: Tensor) -> Tensor:
    """Return values (N, 22) inside their bounds, ellipticities at most 0.65."""
    values = values.clamp(values.new_tensor(LOWEST), values.new_tensor(HIGHEST))
    for name in _ELLIPTICITIES:
        column = number_of(name)
        length = torch.hypot(values[:, column], values[:, column + 1])
        factor = (_MAX_ELLIPTICITY / length).clamp(max=1.0)
        values[:, column : column + 2] *= factor[:, None]
    return values


def minimise(
    model: GaussianModel,
    values: Tensor,
    free: list[int],
    *,
    fixed: Tensor | None = None,
    steps: int = 12,
    min_gain: float = 1.0,
) -> tuple[Tensor, Evaluation]:
    """Return the values and the evaluation at the minimum next to some values.

    Args:
        model: The model, with a row for each row of values.
        values: Start (N, 22).
        free: Columns of values that may move.
        fixed: Free parameters (N, F) that must not move in some rows.
        steps: Steps that may be step_count.
        min_gain: A step that gains less of the objective ends its row.

    Returns:
        Values (N, 22), and their evaluation.
    """
    values = bounded(values.clone())
    state = model.evaluate(values, free)
    count = len(values)
    damping = values.new_full((count,), _INITIAL_DAMPING)
    step_count = torch.zeros(count, dtype=torch.long, device=values.device)
    failures = torch.zeros_like(step_count)
    todo = torch.arange(count, device=values.device)
    part = model
    while len(todo):
        proposed = values[todo].clone()
        proposed[:, free] += _step(state, todo, part, proposed, free, damping[todo], fixed)
        proposed = bounded(proposed)
        trial = part.evaluate(proposed, free, state.active[todo])
        gain = state.objective[todo] - trial.objective
        better = gain > 0
        accepted = todo[better]
        values[accepted] = proposed[better]
        state.put(accepted, trial, torch.nonzero(better)[:, 0])
        factor = torch.where(better, _SOFTER, _HARDER)
        damping[todo] = (damping[todo] * factor).clamp(_MIN_DAMPING, _MAX_DAMPING)
        step_count[todo] += better
        failures[todo] = torch.where(better, 0, failures[todo] + 1)
        going = torch.where(better, gain > min_gain, failures[todo] < _TRIALS)
        going &= step_count[todo] < steps
        if not bool(going.all()):
            todo = todo[going]
            part = model.take(todo)
    return values, state


def _step(
    state: Evaluation,
    rows: Tensor,
    model: GaussianModel,
    values: Tensor,
    free: list[int],
    damping: Tensor,
    fixed: Tensor | None,
) -> Tensor:
    """Return Marquardt's step (N, F) of chi2 and prior together."""
    slopes = state.slopes[rows]
    residual = state.residual[rows]
    hessian = slopes @ slopes.mT
    gradient = (slopes @ residual[..., None])[..., 0]
    width = model.prior.width[:, free]
    hessian = hessian + torch.diag_embed(width**-2)
    gradient = gradient - (model.prior.pulls(values)[:, free] / width)
    if fixed is not None:
        stays = fixed[rows]
        gradient = torch.where(stays, 0.0, gradient)
        pairs = stays[:, :, None] | stays[:, None, :]
        hessian = torch.where(pairs, 0.0, hessian) + torch.diag_embed(stays.to(hessian))
    diagonal = hessian.diagonal(dim1=-2, dim2=-1) + 1e-12
    lengths = diagonal.sqrt()
    scaled = hessian / (lengths[:, :, None] * lengths[:, None, :])
    scaled = scaled + torch.diag_embed(damping[:, None].expand_as(lengths) + 1e-12)
    lower, info = torch.linalg.cholesky_ex(scaled)
    step = torch.cholesky_solve((gradient / lengths)[..., None], lower)[..., 0] / lengths
    return torch.where((info == 0)[:, None], step, 0.0)
