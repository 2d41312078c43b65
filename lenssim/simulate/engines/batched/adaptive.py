"""Adaptive sampling: one ray a pixel, more where one ray cannot tell a pixel's flux.

Every pixel has a ray through its middle. Where the image is smooth, the mean over the pixel follows from its middle and
its neighbours, b + lap(b) / 24 to fourth order. Pixels in doubt, by the fourth differences of the brightness and by how
sharply perturbers bend what is there, take the 4 x 4 rays of Gauss and Legendre. Where the Legendre coefficients have
not died away, four such parts take the place of one; where that changed the mean, sixteen.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

__all__ = ["MARGIN", "Doubt", "bordered", "refined"]

NODES = 4  # rays a side of a Gauss-Legendre rule
DOUBT = 2.0  # of the noise: expected error of a pixel from which on it takes NODES^2 rays; errs on the safe side
REST = 1.0  # of the noise: what the Legendre coefficients leave to be expected, from which on parts are taken
CHANGE = 0.3  # of the noise: change of a mean by taking parts, from which on finer parts are taken
FOURTH = 1 / 20  # error of a pixel's mean for a unit of its fourth differences, at worst
BENDING = 0.25  # error for a unit of brightness gradient times second differences of the deflection
MARGIN = 3  # pixels that `Doubt` looks beyond its own

Look = Callable[[Tensor, Tensor], Tensor]  # rays (F, 2, n) [arcsec], scenes (F,) -> brightness (F, n)


class Doubt(nn.Module):
    """The mean of smooth pixels, and how far it may be off."""

    def forward(self, brightness: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (N, H, H) and its expected error, for `brightness` (N, H + 2 MARGIN, H + 2 MARGIN) of pixels' middles.

        `alpha` (N, 2, H + 4, H + 4) is the perturbers' deflection there, in pixels.
        """
        second = _laplacian(brightness)
        bending = _laplacian(alpha).abs().sum(1)
        across = (brightness[:, 2:-2, 3:-1] - brightness[:, 2:-2, 1:-3]).abs()
        along = (brightness[:, 3:-1, 2:-2] - brightness[:, 1:-3, 2:-2]).abs()
        error = FOURTH * _worst(_laplacian(second).abs()) + BENDING / 2 * _worst(across + along) * _worst(bending)
        return brightness[:, 3:-3, 3:-3] + second[:, 2:-2, 2:-2] / 24, error


def refined(look: Look, mean: Tensor, doubt: Tensor, sigma: Tensor, step: float) -> Tensor:
    """Mean brightness (N, H, H) [e-/s/arcsec^2] of pixels of `step` arcsec, better than `mean` where that is in doubt.

    `sigma` (N, H, H) is the noise of the brightness; `look` gives the brightness of more rays.
    """
    scene, row, column = torch.nonzero(doubt > DOUBT * sigma, as_tuple=True)
    if not len(scene):
        return mean
    half = (mean.shape[1] - 1) / 2
    middle = torch.stack([column - half, row - half], dim=1).to(mean) * step
    noise = sigma[scene, row, column]
    values = _parts_of(look, middle, scene, step, 1)
    _, weights, coefficients = (table.to(mean) for table in _rule())
    means = (values * weights).sum(1)  # not a matrix product, whose bits depend on how many pixels there are
    size = (values[:, None] * coefficients).sum(2).abs() / noise[:, None]
    high, middling = size[:, : NODES * 2 - 1].sum(1), size[:, NODES * 2 - 1 :].sum(1)
    own = torch.nonzero(high * high > REST * middling)[
        :, 0
    ]  # a series that goes on as it does leaves high^2 / middling
    for parts in (2, NODES):
        if not len(own):
            break
        values = _parts_of(look, middle[own], scene[own], step, parts).unflatten(1, (parts**2, -1))
        finer = (values * weights).sum(2).mean(1)
        changed = (finer - means[own]).abs() > CHANGE * noise[own]
        means[own] = finer
        own = own[changed]
    mean[scene, row, column] = means
    return mean


def _parts_of(look: Look, middle: Tensor, scene: Tensor, step: float, parts: int) -> Tensor:
    """Brightness (F, parts^2 NODES^2) of pixels cut into parts^2, at the nodes of each."""
    nodes, *_ = _rule()
    axis = (torch.arange(parts, dtype=torch.float64) + 0.5) / parts - 0.5
    corners = torch.stack([axis.repeat(parts), axis.repeat_interleave(parts)])
    rays = (corners[:, :, None] + nodes[:, None, :] / parts).flatten(1).to(middle) * step
    return look(middle[:, :, None] + rays, scene)


def _laplacian(b: Tensor) -> Tensor:
    """Second differences, one pixel a side less."""
    neighbours = b[..., 2:, 1:-1] + b[..., :-2, 1:-1] + b[..., 1:-1, 2:] + b[..., 1:-1, :-2]
    return neighbours - 4 * b[..., 1:-1, 1:-1]


def _worst(values: Tensor) -> Tensor:
    """The largest of a pixel and its eight neighbours, one pixel a side less."""
    rows = torch.maximum(torch.maximum(values[..., 2:, :], values[..., 1:-1, :]), values[..., :-2, :])
    return torch.maximum(torch.maximum(rows[..., 2:], rows[..., 1:-1]), rows[..., :-2])


def bordered(values: Tensor, margin: int) -> Tensor:
    """Images (N, C, H, W) continued by their edges."""
    return pad(values, (margin,) * 4, mode="replicate")


@lru_cache
def _rule() -> tuple[Tensor, Tensor, Tensor]:
    """Nodes (2, n) in -1/2..1/2, n = NODES^2, weights (n,), and what gives Legendre coefficients (m, n).

    The first 2 NODES - 1 coefficients are of degree NODES - 1 in x or y, the others of the degree below in either.
    """
    at, weight = np.polynomial.legendre.leggauss(NODES)
    basis = np.polynomial.legendre.legvander(at, NODES - 1) * weight[:, None] * (np.arange(NODES) + 0.5)
    x, y = np.meshgrid(at / 2, at / 2)
    pairs = []
    for top in (NODES - 1, NODES - 2):
        pairs += [(i, top) for i in range(top + 1)] + [(top, i) for i in range(top)]
    tables = (
        np.stack([x.ravel(), y.ravel()]),
        np.multiply.outer(weight, weight).ravel() / 4,
        np.stack([np.multiply.outer(basis[:, j], basis[:, i]).ravel() for i, j in pairs]),
    )
    return tuple(torch.from_numpy(table) for table in tables)
