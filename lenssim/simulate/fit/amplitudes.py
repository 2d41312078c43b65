"""Amplitudes: the least squares of many rows at once, with those that cannot be negative."""

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

__all__ = ["amplitudes", "non_negative"]

RIDGE = 1e-6  # on the diagonal of Gram matrices of unit columns
_TOLERANCE = 1e-10  # of the largest projection
_BLOCK_PASSES = 24  # then one column at a time, which ends in any case
_PASSES = 90


def amplitudes(
    columns: Tensor, data: Tensor, is_free: Tensor, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the best amplitudes of columns, at least 0 unless they are free.

    Args:
        columns: Columns (N, K, P), weighted.
        data: Data (N, P), weighted.
        is_free: Which columns (K,) may have negative amplitudes.
        start: Columns (N, K) that are likely not 0, from an earlier answer.

    Returns:
        Amplitudes (N, K), and whether each is in use (N, K).

    Example:
        >>> columns = torch.eye(3, dtype=torch.float64)[None]
        >>> data = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
        >>> amplitudes(columns, data, torch.tensor([False, False, False]))[0].round()
        tensor([[1., 0., 3.]], dtype=torch.float64)
    """
    lengths = columns.square().sum(-1).sqrt()
    inverse = torch.where(lengths > 0, 1 / lengths, 0.0)
    units = columns * inverse[..., None]
    gram = units @ units.mT
    gram.diagonal(dim1=-2, dim2=-1).add_(RIDGE)
    projection = (units @ data[..., None])[..., 0]
    values, active = non_negative(gram, projection, is_free, start)
    return values * inverse, active


def non_negative(
    gram: Tensor, projection: Tensor, is_free: Tensor, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Minimise x G x / 2 - b x with x >= 0, by block principal pivoting.

    Portugal, Judice and Vicente (1994), Kim and Park (2011). After some passes only the
    last violating column changes (Murty 1974), which cannot cycle. A row that still does not
    end is given to scipy.

    Args:
        gram: Positive definite matrices G (N, K, K).
        projection: b (N, K).
        is_free: Which elements (K,) of x may be negative.
        start: Elements (N, K) that are likely above 0.

    Returns:
        x (N, K), and which elements (N, K) are in use.
    """
    passive = is_free.expand_as(projection).clone()
    if start is not None:
        passive |= start
    tolerance = _TOLERANCE * projection.abs().amax(1, keepdim=True).clamp(min=1e-300)
    fewest = torch.full((len(gram),), gram.shape[-1] + 1, device=gram.device)
    patience = torch.full_like(fewest, 3)
    order = torch.arange(1, gram.shape[-1] + 1, device=gram.device)
    for number in range(_PASSES):
        x = _solved(gram, projection, passive)
        gradient = (gram @ x[..., None])[..., 0] - projection
        violates = torch.where(passive, (x < -tolerance) & ~is_free, gradient < -tolerance)
        count = violates.sum(1)
        if not bool(count.any()):
            return _clipped(x, passive, is_free)
        fewer = count < fewest
        fewest = torch.where(fewer, count, fewest)
        patience = torch.where(fewer, torch.full_like(patience, 3), patience - 1)
        one_by_one = (patience < 0) | (number >= _BLOCK_PASSES)
        highest = violates & (order == (violates * order).amax(1, keepdim=True))
        passive = passive ^ torch.where(one_by_one[:, None], highest, violates)
    return _by_scipy(gram, projection, is_free, x, passive, count > 0)


def _solved(gram: Tensor, projection: Tensor, passive: Tensor) -> Tensor:
    """Return x (N, K) of the passive elements, 0 elsewhere."""
    pairs = passive[:, :, None] & passive[:, None, :]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    matrix = torch.where(pairs, gram, eye)
    lower, _ = torch.linalg.cholesky_ex(matrix)
    target = torch.where(passive, projection, 0.0)
    return torch.cholesky_solve(target[..., None], lower)[..., 0]


def _clipped(x: Tensor, passive: Tensor, is_free: Tensor) -> tuple[Tensor, Tensor]:
    x = torch.where(is_free, x, x.clamp(min=0))
    return x, passive


def _by_scipy(
    gram: Tensor,
    projection: Tensor,
    is_free: Tensor,
    x: Tensor,
    passive: Tensor,
    unfinished: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the answer with the rows that did not end solved by Lawson and Hanson's method."""
    x, passive = _clipped(x, passive, is_free)
    free = np.flatnonzero(is_free.cpu().numpy())
    for row in torch.nonzero(unfinished)[:, 0].tolist():
        matrix = gram[row].cpu().numpy()
        target = projection[row].cpu().numpy()
        values = _lawson_hanson(matrix, target, free)
        x[row] = torch.from_numpy(values).to(x)
        passive[row] = (x[row] > 0) | is_free
    return x, passive


def _lawson_hanson(matrix: np.ndarray, target: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return x >= 0; free elements are differences of two that are not."""
    signs = np.concatenate([np.ones(len(target)), -np.ones(len(free))])
    chosen = np.concatenate([np.arange(len(target)), free])
    doubled = matrix[np.ix_(chosen, chosen)] * np.outer(signs, signs)
    doubled[np.diag_indices_from(doubled)] += 1e-9
    lower = np.linalg.cholesky(doubled)
    values, _ = nnls(lower.T, np.linalg.solve(lower, target[chosen] * signs), maxiter=3000)
    x = values[: len(target)].copy()
    x[free] -= values[len(target) :]
    return x
