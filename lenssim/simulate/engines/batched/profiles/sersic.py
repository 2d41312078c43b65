"""Elliptical Sersic light; e1 = e2 = 0 makes it round."""

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles.ellipticity import (
    bounded,
    elliptical_coordinates,
)

__all__ = ["b_n", "surface_brightness"]

SMOOTHING = 1e-4  # arcsec, smallest radius and smallest R_sersic
EXTENT = 1000.0  # there is no light beyond this many R_sersic


def b_n(n_sersic: Tensor) -> Tensor:
    """Return lenstronomy's b_n = 1.9992 n - 0.3271.

    It makes R_sersic nearly the half-light radius.
    """
    return (1.9992 * n_sersic - 0.3271).clamp(min=1e-5)


def surface_brightness(
    x: Tensor,
    y: Tensor,
    amp: Tensor,
    R_sersic: Tensor,
    n_sersic: Tensor,
    e1: Tensor,
    e2: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return the surface brightness amp exp(-b_n ((R / R_sersic)^(1/n) - 1)).

    R^2 = q x^2 + y^2 / q on the axes. `amp` [e-/s/arcsec^2] is the brightness at R_sersic
    [arcsec]. Smoothing and extent are lenstronomy's. |e| is bounded as it is for lenses,
    which differs from lenstronomy for q below 5e-5.
    """
    u, v = elliptical_coordinates(x - center_x, y - center_y, *bounded(e1, e2))
    ratio2 = (u**2 + v**2).clamp(min=SMOOTHING**2) / R_sersic.clamp(min=SMOOTHING) ** 2
    power = torch.exp(
        0.5 / n_sersic * torch.log(ratio2)
    )  # half the cost of a general power
    light = torch.exp(-b_n(n_sersic) * (power - 1))
    return amp * torch.where(ratio2 <= EXTENT**2, light, 0.0)
