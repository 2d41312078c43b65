"""Point mass."""

import torch
from torch import Tensor

__all__ = ["MIN_RADIUS2", "convergence", "deflection", "summed_deflection"]

MIN_RADIUS2 = {torch.float32: 1e-30, torch.float64: 1e-50}  # arcsec^2; lenstronomy's underflows in float32
MIN_PAIRED_RADIUS2 = {torch.float32: 1e-18, torch.float64: 1e-50}  # arcsec^2; a product of two must not underflow


def deflection(x: Tensor, y: Tensor, theta_E: Tensor, center_x: Tensor, center_y: Tensor) -> tuple[Tensor, Tensor]:
    """Deflection theta_E^2 / r^2 (x, y) [arcsec] for an Einstein radius theta_E [arcsec]; 0 on the mass."""
    x, y = x - center_x, y - center_y
    radius2 = x**2 + y**2
    strength = theta_E**2 / radius2.clamp(min=MIN_RADIUS2[radius2.dtype])
    return strength * x, strength * y


def summed_deflection(
    x: Tensor, y: Tensor, strength: Tensor, softening: Tensor, center_x: Tensor, center_y: Tensor
) -> tuple[Tensor, Tensor]:
    """Summed deflection (*, P) [arcsec] of K softened masses (*, K, 1), K even, at points (*, 1, P).

    sum theta_E^2 / (r^2 + s^2) (x, y), for strength = theta_E^2 and softening = s^2 [arcsec^2]. The masses are taken in
    pairs, whose two divisions are one of the product: divisions are what a sum over points costs.
    """
    pairs = [column.unflatten(-2, (-1, 2)) for column in (strength, softening, center_x, center_y)]
    (strength1, softening1, x1, y1), (strength2, softening2, x2, y2) = ([p[..., i, :] for p in pairs] for i in (0, 1))
    x1, y1, x2, y2 = x - x1, y - y1, x - x2, y - y2
    floor = MIN_PAIRED_RADIUS2[x.dtype]
    radius1 = (x1 * x1 + (y1 * y1 + softening1)).clamp(min=floor)
    radius2 = (x2 * x2 + (y2 * y2 + softening2)).clamp(min=floor)
    inverse = 1 / (radius1 * radius2)
    slope1, slope2 = strength1 * radius2, strength2 * radius1
    return ((slope1 * x1 + slope2 * x2) * inverse).sum(-2), ((slope1 * y1 + slope2 * y2) * inverse).sum(-2)


def convergence(x: Tensor, y: Tensor, theta_E: Tensor, center_x: Tensor, center_y: Tensor) -> Tensor:
    """Zero: all mass is in the point, which no pixel resolves."""
    return torch.zeros_like(x + y + theta_E + center_x + center_y)
