"""Spots on the sky: the rival of every lens model, light that is not lensed at all."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from lenssim.simulate.fit.amplitudes import amplitudes
from lenssim.simulate.fit.projection import GaussianModel

__all__ = ["spots_chi2"]

SPOTS = 3  # 4 parameters each: as many as a lens and a source of Gaussians have
_WIDTHS = (0.8, 1.6, 3.0, 5.0)  # pixels
_OFFSETS = (-0.5, 0.0, 0.5)  # pixels about the brightest one
_CORE = 0.3  # arcsec about the lens that belong to its own light


def spots_chi2(model: GaussianModel, values: Tensor) -> tuple[float, float]:
    """Return chi2 without a source, and with round spots on the sky in its place.

    The spots are found one after the other, each where it lowers chi2 most. A lens that
    explains an image no better than they do is no lens that one can be sure of.

    Args:
        model: A model with one row.
        values: Its parameters (1, 22), of which those of the light count.
    """
    light = model.light_columns(values)[0]
    sky = model.light_count
    columns = torch.cat([light[sky : sky + 1], light[:sky], light[sky + 1 :]])
    residual = _residual(model, columns)
    without = float(residual.square().sum())
    for _ in range(SPOTS):
        columns = torch.cat([columns, _brightest(model, residual)])
        residual = _residual(model, columns)
    return without, float(residual.square().sum())


def _residual(model: GaussianModel, columns: Tensor) -> Tensor:
    is_free = torch.zeros(len(columns), dtype=torch.bool, device=columns.device)
    is_free[0] = True
    solved, _ = amplitudes(columns[None], model.stamps.data, is_free)
    return model.stamps.data - (solved[:, None] @ columns)[:, 0]


def _brightest(model: GaussianModel, residual: Tensor) -> Tensor:
    """Return the weighted column (1, P) of the round spot that lowers chi2 most."""
    stamps = model.stamps
    x, y = (axis / stamps.pixel_scale for axis in stamps.rays())
    place = _place(model, residual)
    spots = []
    for right in _OFFSETS:
        for up in _OFFSETS:
            distance2 = (x - place[0] - right).square() + (y - place[1] - up).square()
            spots += [torch.exp(-distance2 / (2 * width**2)) for width in _WIDTHS]
    templates = stamps.blur(torch.stack(spots)[None])[0]
    lengths = templates.square().sum(1).clamp(min=1e-300)
    gains = (templates @ residual[0]).clamp(min=0).square() / lengths
    best = int(gains.argmax())
    return templates[best : best + 1]


def _place(model: GaussianModel, residual: Tensor) -> tuple[float, float]:
    """Return the pixel, from the lens, where a spot lowers chi2 most."""
    stamps = model.stamps
    size = stamps.size
    weights = stamps.weights[0].cpu().numpy().reshape(size, size)
    product = weights * residual[0].cpu().numpy().reshape(size, size)
    pixels = np.arange(size) - stamps.origin
    is_far = np.hypot(pixels[None], pixels[:, None]) * stamps.pixel_scale > _CORE
    gains = []
    for width in _WIDTHS:
        along = gaussian_filter(product, width, mode="constant").clip(min=0)
        norm = gaussian_filter(weights**2, width / np.sqrt(2), mode="constant")
        gain = width**2 * along**2 / np.maximum(norm, 1e-3 * norm.max())
        gains.append(np.where(is_far & (weights > 0), gain, 0.0))
    row, column = np.unravel_index(int(np.max(gains, axis=0).argmax()), (size, size))
    return float(pixels[column]), float(pixels[row])
