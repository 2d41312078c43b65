"""Adaptive sampling: one ray a pixel, more where one ray cannot tell a pixel's flux.

Every pixel has a ray through its middle. Where the image is smooth, the mean over the pixel
follows from its middle and its neighbours: b + lap(b) / 24 to fourth order. Its error is
estimated from the fourth differences of the brightness and from how sharply perturbers bend
the light. Pixels with large errors take the 4 x 4 rays of Gauss and Legendre. Where the
Legendre coefficients have not died away, four such parts replace one; where that changed
the mean, sixteen.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

__all__ = ["MARGIN", "SamplingError", "pad_edges", "refined"]

NODES = 4  # rays a side of a Gauss-Legendre rule
# Largest errors of a pixel's mean in units of the noise. Beyond MAX_ERROR it takes NODES^2 rays;
# the estimate is on the safe side. Beyond MAX_REMAINDER, the error that the Legendre coefficients
# suggest, it is cut into parts. Beyond MAX_CHANGE by that cut, the parts get finer.
MAX_ERROR = 2.0
MAX_REMAINDER = 1.0
MAX_CHANGE = 0.3
ERROR_OF_FOURTH = (
    1 / 20
)  # largest error of a pixel's mean for a unit of its fourth differences
# error for a unit of brightness gradient times second differences of the deflection
ERROR_OF_BENDING = 0.25
MARGIN = 3  # pixels that `SamplingError` looks beyond its own

# rays (F, 2, n) [arcsec], scenes (F,) -> brightness (F, n)
TraceRays = Callable[[Tensor, Tensor], Tensor]


class SamplingError(nn.Module):
    """The mean of smooth pixels, and its expected error."""

    def forward(self, brightness: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and their expected errors, each (N, H, H).

        Args:
            brightness: Brightness (N, H + 2 MARGIN, H + 2 MARGIN) of pixels' middles.
            alpha: The perturbers' deflection (N, 2, H + 4, H + 4) there, in pixels.
        """
        second = _laplacian(brightness)
        bending = _laplacian(alpha).abs().sum(1)
        across = (brightness[:, 2:-2, 3:-1] - brightness[:, 2:-2, 1:-3]).abs()
        along = (brightness[:, 3:-1, 2:-2] - brightness[:, 1:-3, 2:-2]).abs()
        fourth = ERROR_OF_FOURTH * _worst(_laplacian(second).abs())
        gradient = _worst(across + along)
        error = fourth + ERROR_OF_BENDING / 2 * gradient * _worst(bending)
        return brightness[:, 3:-3, 3:-3] + second[:, 2:-2, 2:-2] / 24, error


def refined(
    trace_rays: TraceRays, mean: Tensor, error: Tensor, sigma: Tensor, step: float
) -> Tensor:
    """Return the mean brightness of pixels, with more rays where the error is large.

    Args:
        trace_rays: Function that returns the brightness along further rays.
        mean: Mean brightness (N, H, H) of smooth pixels [e-/s/arcsec^2]; it is overwritten.
        error: Its expected error (N, H, H).
        sigma: Noise (N, H, H) of the brightness.
        step: Side of the pixels [arcsec].

    Returns:
        Mean brightness (N, H, H) [e-/s/arcsec^2].
    """
    scene, row, column = torch.nonzero(error > MAX_ERROR * sigma, as_tuple=True)
    if not len(scene):
        return mean
    half = (mean.shape[1] - 1) / 2
    middle = torch.stack([column - half, row - half], dim=1).to(mean) * step
    noise = sigma[scene, row, column]
    values = _parts_of(trace_rays, middle, scene, step, 1)
    _, weights, coefficients = (table.to(mean) for table in _rule())
    # not a matrix product, with bits that depend on the number of pixels
    means = (values * weights).sum(1)
    size = (values[:, None] * coefficients).sum(2).abs() / noise[:, None]
    high = size[:, : NODES * 2 - 1].sum(1)
    middling = size[:, NODES * 2 - 1 :].sum(1)
    # a series that continues in the same way leaves high^2 / middling
    rows = torch.nonzero(high * high > MAX_REMAINDER * middling)[:, 0]
    for parts in (2, NODES):
        if not len(rows):
            break
        values = _parts_of(trace_rays, middle[rows], scene[rows], step, parts)
        values = values.unflatten(1, (parts**2, -1))
        finer = (values * weights).sum(2).mean(1)
        changed = (finer - means[rows]).abs() > MAX_CHANGE * noise[rows]
        means[rows] = finer
        rows = rows[changed]
    mean[scene, row, column] = means
    return mean


def _parts_of(
    trace_rays: TraceRays, middle: Tensor, scene: Tensor, step: float, parts: int
) -> Tensor:
    """Return the brightness (F, parts^2 NODES^2) at the nodes of pixels cut into parts^2."""
    nodes, *_ = _rule()
    axis = (torch.arange(parts, dtype=torch.float64) + 0.5) / parts - 0.5
    corners = torch.stack([axis.repeat(parts), axis.repeat_interleave(parts)])
    rays = (corners[:, :, None] + nodes[:, None, :] / parts).flatten(1).to(middle) * step
    return trace_rays(middle[:, :, None] + rays, scene)


def _laplacian(b: Tensor) -> Tensor:
    """Return second differences, one pixel a side less."""
    neighbours = b[..., 2:, 1:-1] + b[..., :-2, 1:-1] + b[..., 1:-1, 2:] + b[..., 1:-1, :-2]
    return neighbours - 4 * b[..., 1:-1, 1:-1]


def _worst(values: Tensor) -> Tensor:
    """Return the largest of a pixel and its eight neighbours, one pixel a side less."""
    rows = torch.maximum(
        torch.maximum(values[..., 2:, :], values[..., 1:-1, :]), values[..., :-2, :]
    )
    return torch.maximum(torch.maximum(rows[..., 2:], rows[..., 1:-1]), rows[..., :-2])


def pad_edges(values: Tensor, margin: int) -> Tensor:
    """Return images (N, C, H, W) continued by their edges, `margin` pixels a side."""
    return pad(values, (margin,) * 4, mode="replicate")


@lru_cache
def _rule() -> tuple[Tensor, Tensor, Tensor]:
    """Return nodes, weights, and the matrix of the Legendre coefficients.

    Nodes (2, n) are in -1/2..1/2, n = NODES^2, weights (n,), and the matrix is (m, n). The
    first 2 NODES - 1 coefficients are of degree NODES - 1 in x or y, the others of the
    degree below in either.
    """
    at, weight = np.polynomial.legendre.leggauss(NODES)
    basis = (
        np.polynomial.legendre.legvander(at, NODES - 1)
        * weight[:, None]
        * (np.arange(NODES) + 0.5)
    )
    x, y = np.meshgrid(at / 2, at / 2)
    pairs = []
    for top in (NODES - 1, NODES - 2):
        pairs += [(i, top) for i in range(top + 1)] + [(top, i) for i in range(top)]
    tables = (
        np.stack([x.ravel(), y.ravel()]),
        np.multiply.outer(weight, weight).ravel() / 4,
        np.stack([np.multiply.outer(basis[:, j], basis[:, i]).ravel() for i, j in pairs]),
    )
    points, weights, coefficients = (torch.from_numpy(table) for table in tables)
    return points, weights, coefficients
