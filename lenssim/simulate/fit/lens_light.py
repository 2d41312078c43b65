"""The light of the lens: two sets of Gaussians, with the arcs thrown out."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_opening, gaussian_filter
from torch import Tensor

from lenssim.simulate.fit.marquardt import minimise
from lenssim.simulate.fit.projection import PARAMETERS, GaussianModel, Prior
from lenssim.simulate.fit.stamps import Stamps

__all__ = ["LIGHT", "LIGHT_B", "LensLight", "fit_light", "light_residual", "start_values"]

LIGHT = tuple(float(sigma) for sigma in np.geomspace(0.03, 3.5, 12))  # arcsec
LIGHT_B = tuple(float(sigma) for sigma in np.geomspace(0.08, 3.0, 8))
FREE = (11, 12, 13, 14, 15, 16)
_ROUNDS = 4
_STEPS = 6
_CLIP = 3.0  # sigma of the smoothed residual
_SMOOTHING_GAIN = 2.5  # smoothing white noise by 1 pixel divides its rms by some more
_CORE = 0.25  # arcsec about the centre that are never thrown out
_GROWTH = 2  # pixels
_MIN_SIGMA = 0.15  # arcsec: Gaussians whose flux counts in the ellipticity of the light
_MAX_SIGMA = 2.5
_CENTRE_PRIOR = 0.05  # arcsec
_SHAPE_PRIOR = 0.3


@dataclass(frozen=True)
class LensLight:
    """The light of L lenses.

    Attributes:
        values: Parameters (L, 22), of which those of the light were fitted.
        ellipticity: e1 and e2 (L, 2) of the light, weighted by flux.
        arcs: Which pixels (L, P) were thrown out as arcs.
    """

    values: Tensor
    ellipticity: Tensor
    arcs: Tensor


def light_residual(stamps: Stamps, light: LensLight) -> Tensor:
    """Return (image - lens light) / sigma (L, P), the light fitted outside the arcs."""
    weights = torch.where(light.arcs, 0.0, stamps.weights)
    prior = light_prior(light.values)
    clipped = GaussianModel(stamps.weighted(weights), prior, LIGHT, LIGHT_B)
    amplitudes = clipped.evaluate(light.values, []).amplitudes
    columns = GaussianModel(stamps, prior, LIGHT, LIGHT_B).light_columns(light.values)
    return stamps.data - (amplitudes[:, None] @ columns)[:, 0]


def start_values(count: int) -> Tensor:
    """Return values (N, 22) of a round lens of 1 arcsec at (0, 0)."""
    values = torch.zeros(count, len(PARAMETERS), dtype=torch.float64)
    values[:, 0] = 1.0
    return values


def fit_light(stamps: Stamps) -> LensLight:
    """Fit the light of lenses whose centres lie within a pixel of (0, 0).

    Args:
        stamps: The lenses (L, P) at one ray a pixel.

    Returns:
        Their light. Pixels that stand out by more than 3 sigma count as arcs.
    """
    values = start_values(len(stamps)).to(stamps.data.device)
    prior = light_prior(values)
    full = GaussianModel(stamps, prior, LIGHT, LIGHT_B)
    weights = stamps.weights
    arcs = torch.zeros_like(weights, dtype=torch.bool)
    for _ in range(_ROUNDS):
        clipped = stamps.weighted(torch.where(arcs, 0.0, weights))
        model = GaussianModel(clipped, prior, LIGHT, LIGHT_B)
        values, state = minimise(model, values, list(FREE), steps=_STEPS)
        columns = full.light_columns(values)
        residual = stamps.data - (state.amplitudes[:, None] @ columns)[:, 0]
        arcs = _arcs(stamps, residual, values)
    return LensLight(values, _ellipticity(values, state.amplitudes), arcs)


def light_prior(values: Tensor) -> Prior:
    """Return the priors of a lens light about the centre of its stamp."""
    width = torch.full_like(values, float("inf"))
    width[:, 11:13] = _CENTRE_PRIOR
    width[:, 13:17] = _SHAPE_PRIOR
    return Prior(torch.zeros_like(values), width)


def _arcs(stamps: Stamps, residual: Tensor, values: Tensor) -> Tensor:
    """Return which pixels (L, P) stand out of the lens light."""
    x, y = (axis.cpu().numpy() for axis in stamps.rays())
    planes = zip(residual.cpu().numpy(), values.cpu().numpy(), strict=True)
    masks = [
        _bright(plane, np.hypot(x - row[11], y - row[12]) > _CORE) for plane, row in planes
    ]
    return torch.from_numpy(np.stack(masks)).to(stamps.data.device)


def _bright(residual: np.ndarray, is_far: np.ndarray) -> np.ndarray:
    """Return which pixels (P,) of a residual in sigma stand out, outside the core."""
    side = round(len(residual) ** 0.5)
    smooth = gaussian_filter(residual.reshape(side, side), 1.0) * _SMOOTHING_GAIN
    bright = (smooth > _CLIP) & is_far.reshape(side, side)
    return binary_dilation(binary_opening(bright), iterations=_GROWTH).ravel()


def _ellipticity(values: Tensor, amplitudes: Tensor) -> Tensor:
    """Return the ellipticity (L, 2) of the light, weighted by the flux of its Gaussians."""
    sigmas = values.new_tensor(LIGHT + LIGHT_B)
    counts = (sigmas > _MIN_SIGMA) & (sigmas < _MAX_SIGMA)
    flux = amplitudes[:, : len(sigmas)] * counts
    flux_a = flux[:, : len(LIGHT)].sum(1, keepdim=True)
    flux_b = flux[:, len(LIGHT) :].sum(1, keepdim=True)
    total = (flux_a + flux_b).clamp(min=1e-30)
    return (values[:, 13:15] * flux_a + values[:, 15:17] * flux_b) / total
