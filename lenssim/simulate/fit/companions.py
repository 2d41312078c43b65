"""Companions: galaxies beside the lens, which are not lensed and must not pass for arcs."""

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from lenssim.simulate.fit.lens_light import start_values
from lenssim.simulate.fit.marquardt import minimise
from lenssim.simulate.fit.projection import GaussianModel, Prior
from lenssim.simulate.fit.stamps import Stamps

__all__ = [
    "COMPANION_COST",
    "MAX_COMPANIONS",
    "brightest_companion",
    "companion_columns",
    "companions_of",
]

COMPANION = (0.03, 0.08, 0.16, 0.32, 0.64)  # arcsec
COMPANION_COST = 40.0  # of the objective: 6 parameters, and that few lenses have one
MAX_COMPANIONS = 2
_FREE = (11, 12, 13, 14)
_STEPS = 8
_WIDTHS = (1.2, 2.5, 4.0)  # pixels of the matched filters
_CORE = 0.4  # arcsec about the lens where no companion is looked for
_MISLEADING = 0.15  # of what the lens light leaves
_MIN_MISLEADING = 500.0
_CENTRE_PRIOR = 0.2  # arcsec
_SHAPE_PRIOR = 0.2


def companion_columns(stamps: Stamps, shapes: Tensor) -> Tensor:
    """Return the light of companions of unit amplitudes, blurred, without weights.

    Args:
        stamps: L lenses (L, P).
        shapes: x, y [arcsec], e1 and e2 of each companion (L, C, 4); NaN: there is none.

    Returns:
        Columns (L, 5 C, P), 0 where there is no companion.
    """
    plain = replace(stamps, weights=torch.ones_like(stamps.weights))
    groups = []
    for shape in shapes.unbind(1):
        exists = shape.isfinite().all(1)
        values = start_values(len(stamps)).to(stamps.data.device)
        values[:, 11:15] = torch.where(exists[:, None], shape, 0.0)
        no_prior = Prior(values, torch.full_like(values, float("inf")))
        model = GaussianModel(plain, no_prior, COMPANION)
        columns = model.light_columns(values)[:, : len(COMPANION)]
        groups.append(torch.where(exists[:, None, None], columns, 0.0))
    return torch.cat(groups, dim=1)


def companions_of(
    stamps: Stamps, residual: Tensor, min_gain: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the brightest companion in the residual of each row.

    Matched filters of three widths find it, and a fit of Gaussians with one centre and one
    ellipticity gives its shape.

    Args:
        stamps: The stamps (N, P) of the rows.
        residual: (image - model) / sigma (N, P).
        min_gain: Least gain (N,) in chi2 of a companion.

    Returns:
        x, y, e1 and e2 (N, 4), NaN where no companion gains enough, and the gain (N,) of the
        best matched filter.
    """
    peaks = [_peak(stamps, row, residual[row].cpu().numpy()) for row in range(len(stamps))]
    shapes = residual.new_full((len(stamps), 4), float("nan"))
    gains = residual.new_tensor([gain for _, gain in peaks])
    rows = torch.nonzero(gains >= min_gain)[:, 0].tolist()
    if not rows:
        return shapes, gains
    chosen = torch.tensor(rows, device=residual.device)
    values = start_values(len(rows)).to(residual)
    values[:, 11:13] = residual.new_tensor([peaks[row][0] for row in rows])
    width = torch.full_like(values, float("inf"))
    width[:, 11:13] = _CENTRE_PRIOR
    width[:, 13:15] = _SHAPE_PRIOR
    part = replace(stamps.take(chosen), data=residual[chosen])
    model = GaussianModel(part, Prior(values.clone(), width), COMPANION)
    values, _ = minimise(model, values, list(_FREE), steps=_STEPS)
    shapes[chosen] = values[:, 11:15]
    return shapes, gains


def brightest_companion(stamps: Stamps, residual: Tensor) -> Tensor:
    """Return the companion (4,) that would explain most of what the light of a lens leaves.

    It may well be an arc: it is a hypothesis, under which a search is repeated.

    Args:
        stamps: One lens (1, P).
        residual: (image - lens light) / sigma (1, P).

    Returns:
        x, y, e1 and e2; NaN where it explains too little to mislead a search.
    """
    excess = float(residual.square().sum()) - residual.shape[1]
    min_gain = max(_MISLEADING * excess, _MIN_MISLEADING)
    shapes, _ = companions_of(stamps, residual, residual.new_tensor([min_gain]))
    return shapes[0]


def _peak(
    stamps: Stamps, row: int, residual: np.ndarray
) -> tuple[tuple[float, float], float]:
    """Return where [arcsec] a round companion gains most in chi2, and its gain."""
    size = stamps.size
    weights = stamps.weights[row].cpu().numpy().reshape(size, size)
    x, y = (axis.cpu().numpy().reshape(size, size) for axis in stamps.rays())
    is_allowed = (weights > 0) & (np.hypot(x, y) > _CORE)
    product = weights * residual.reshape(size, size)
    gains = []
    for width in _WIDTHS:
        along = gaussian_filter(product, width, mode="constant").clip(min=0)
        norm = gaussian_filter(weights**2, width / np.sqrt(2), mode="constant")
        gain = 4 * np.pi * width**2 * along**2 / np.maximum(norm, 1e-3 * norm.max())
        gains.append(np.where(is_allowed, gain, 0.0))
    total = np.max(gains, axis=0)
    number = int(np.argmax(total))
    return (float(x.flat[number]), float(y.flat[number])), float(total.flat[number])
