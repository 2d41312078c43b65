"""Soliton, the core of a halo of ultra-light (fuzzy) dark matter."""

import math

import torch
from torch import Tensor

__all__ = ["convergence", "deflection"]

FLOOR = 1e-30  # smallest a (r / theta_c)^2: its limit is reached long before


def deflection(
    x: Tensor,
    y: Tensor,
    kappa_0: Tensor,
    theta_c: Tensor,
    slope: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the deflection [arcsec] of a soliton of central convergence kappa_0.

    Its density halves at theta_c [arcsec]. From rho ~ (1 + a (r / theta_c)^2)^-slope with a
    = 2^(1 / slope) - 1 (slope 8: Schive et al. 2014, arXiv:1406.6586), y = a (r /
    theta_c)^2 and p = slope - 3/2::

        alpha = kappa_0 (1 - (1 + y)^-p) / (p y) (x, y)

    It is elementary: hypergeometric functions occur in the potential and in the mass in
    three dimensions.
    """
    x = x - center_x
    y = y - center_y
    scaled = _scaled_radius2(x, y, theta_c, slope).clamp(min=FLOOR)
    p = slope - 1.5
    mean_kappa = -kappa_0 * torch.expm1(-p * torch.log1p(scaled)) / (p * scaled)
    return mean_kappa * x, mean_kappa * y


def convergence(
    x: Tensor,
    y: Tensor,
    kappa_0: Tensor,
    theta_c: Tensor,
    slope: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return the convergence kappa_0 (1 + a (r / theta_c)^2)^(1/2 - slope)."""
    scaled = _scaled_radius2(x - center_x, y - center_y, theta_c, slope)
    return kappa_0 * torch.exp((0.5 - slope) * torch.log1p(scaled))


def _scaled_radius2(x: Tensor, y: Tensor, theta_c: Tensor, slope: Tensor) -> Tensor:
    return torch.expm1(math.log(2) / slope) / theta_c**2 * (x**2 + y**2)
