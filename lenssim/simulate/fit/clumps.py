"""Clumps: round spots of the source beside its smooth light, found in the residual."""

import torch
from torch import Tensor

from lenssim.simulate.fit.amplitudes import amplitudes
from lenssim.simulate.fit.projection import GaussianModel
from lenssim.simulate.fit.tracing import mass_of, trace

__all__ = ["CLUMPS_A_ROUND", "CLUMP_COST", "clumps_of"]

CLUMP_COST = 20.0  # of the objective: 4 parameters
CLUMPS_A_ROUND = 3
_HALF = 0.54  # arcsec about the centre of the source
_STEP = 0.06
_LIKELY = 12  # spots of each size that are tried with the PSF
_SIZES = (0.03, 0.08)
_FINER = (-0.03, 0.0, 0.03)  # arcsec about the best place
_FINER_SIZES = (0.015, 0.03, 0.055, 0.08, 0.12)


def clumps_of(
    model: GaussianModel, values: Tensor, residual: Tensor, min_gain: float
) -> tuple[Tensor, float]:
    """Return clumps of the source of one row, the brightest first.

    Each is the lensed spot that gains most in chi2 at the mass of the row, after the
    amplitudes of all light were solved with those before it (matching pursuit).

    Args:
        model: A model with one row.
        values: Its parameters (1, 22).
        residual: (image - model) / sigma (1, P).
        min_gain: Least gain of a clump.

    Returns:
        x, y from the centre of the source and standard deviation (C, 3), NaN where there is
        none, and the gain of the first.
    """
    rays = _rays(model, values)
    places = _places(values)
    spots = _spots(rays, places)
    lengths = spots.square() @ model.stamps.weights[0].square().to(spots)
    columns = None
    clumps = values.new_full((CLUMPS_A_ROUND, 3), float("nan"))
    first = 0.0
    for number in range(CLUMPS_A_ROUND):
        nearby = _likely(model, residual, spots, lengths)
        best, _ = _best(model, rays, residual, places[nearby])
        best, gain = _best(model, rays, residual, _about(best))
        if number == 0:
            first = gain
        if gain < min_gain:
            break
        clumps[number] = best
        column = model.stamps.blur(_spots(rays, best[None]).to(values)[None])[0]
        if columns is None:
            columns = _columns(model, values)
        columns = torch.cat([columns, column])
        residual = _residual(model, columns)
    return clumps, first


def _places(values: Tensor) -> Tensor:
    count = round(_HALF / _STEP)
    axis = torch.arange(-count, count + 1, dtype=torch.float64) * _STEP
    sizes = torch.tensor(_SIZES, dtype=torch.float64)
    return torch.cartesian_prod(sizes, axis, axis)[:, [1, 2, 0]].to(values)


def _about(place: Tensor) -> Tensor:
    """Return places and sizes about a place."""
    offsets = torch.tensor(_FINER, dtype=torch.float64)
    sizes = torch.tensor(_FINER_SIZES, dtype=torch.float64)
    finer = torch.cartesian_prod(offsets, offsets, sizes).to(place)
    finer[:, :2] += place[:2]
    return finer


def _rays(model: GaussianModel, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return where rays (P,), one a pixel, end from the centre of the source."""
    x, y = model.stamps.rays()
    beta_x, beta_y = trace(x, y, mass_of(values))
    return beta_x[0] - values[0, 7], beta_y[0] - values[0, 8]


def _spots(rays: tuple[Tensor, Tensor], places: Tensor) -> Tensor:
    """Return the brightness (S, P) of lensed spots before the PSF, in float32."""
    x, y, sigma = places.to(torch.float32).split(1, dim=1)
    u = rays[0].to(torch.float32) - x
    v = rays[1].to(torch.float32) - y
    exponent = (u * u + v * v) / (2 * sigma**2)
    return torch.exp(-exponent.clamp(max=60.0)) / sigma**2


def _likely(
    model: GaussianModel, residual: Tensor, spots: Tensor, lengths: Tensor
) -> Tensor:
    """Return the spots that may gain most: the best of each size before the PSF."""
    turned = model.stamps.unblurred(residual)[0].to(spots)
    gains = (spots @ turned).clamp(min=0).square() / (lengths + 1e-3 * lengths.amax())
    ordered = gains.reshape(len(_SIZES), -1).argsort(dim=1, descending=True, stable=True)
    shift = torch.arange(len(_SIZES), device=gains.device) * ordered.shape[1]
    return (ordered[:, :_LIKELY] + shift[:, None]).flatten()


def _best(
    model: GaussianModel, rays: tuple[Tensor, Tensor], residual: Tensor, places: Tensor
) -> tuple[Tensor, float]:
    """Return the place whose spot, through the PSF, gains most in chi2, and its gain."""
    spots = _spots(rays, places).to(residual)
    templates = model.stamps.blur(spots[None])[0]
    lengths = templates.square().sum(1)
    products = (templates @ residual[0]).clamp(min=0)
    gains = products.square() / (lengths + 1e-3 * lengths.amax())
    best = int(gains.argmax())
    return places[best], float(gains[best])


def _columns(model: GaussianModel, values: Tensor) -> Tensor:
    """Return all weighted columns (K, P), the sky first."""
    light = model.light_columns(values)[0]
    source, _ = model._source(values)
    sky = model.light_count
    return torch.cat([light[sky : sky + 1], light[:sky], light[sky + 1 :], source[0]])


def _residual(model: GaussianModel, columns: Tensor) -> Tensor:
    is_free = torch.zeros(len(columns), dtype=torch.bool, device=columns.device)
    is_free[0] = True
    solved, _ = amplitudes(columns[None], model.stamps.data, is_free)
    return model.stamps.data - (solved[:, None] @ columns)[:, 0]
