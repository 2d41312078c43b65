"""Point mass."""

import torch
from torch import Tensor

__all__ = ["MIN_RADIUS2", "convergence", "deflection", "summed_deflection"]

# arcsec^2; lenstronomy's underflows in float32
MIN_RADIUS2 = {torch.float32: 1e-30, torch.float64: 1e-50}
# arcsec^2; a product of two must not underflow
MIN_PAIRED_RADIUS2 = {torch.float32: 1e-18, torch.float64: 1e-50}


def deflection(
    x: Tensor, y: Tensor, theta_E: Tensor, center_x: Tensor, center_y: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the deflection theta_E^2 / r^2 (x, y) [arcsec]; 0 on the mass.

    theta_E is the Einstein radius [arcsec].
    """
    x = x - center_x
    y = y - center_y
    radius2 = x**2 + y**2
    strength = theta_E**2 / radius2.clamp(min=MIN_RADIUS2[radius2.dtype])
    return strength * x, strength * y


def summed_deflection(
    x: Tensor,
    y: Tensor,
    strength: Tensor,
    softening: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the summed deflection (*, P) [arcsec] of K softened masses (*, K, 1), K even.

    sum theta_E^2 / (r^2 + s^2) (x, y) at points (*, 1, P), for strength = theta_E^2 and
    softening = s^2 [arcsec^2]. Masses are taken in pairs, with one division by the product
    in place of two: divisions are the cost of a sum over points.
    """
    pairs = [
        column.unflatten(-2, (-1, 2))
        for column in (strength, softening, center_x, center_y)
    ]
    (strength1, softening1, x1, y1), (strength2, softening2, x2, y2) = (
        [p[..., i, :] for p in pairs] for i in (0, 1)
    )
    x1 = x - x1
    y1 = y - y1
    x2 = x - x2
    y2 = y - y2
    floor = MIN_PAIRED_RADIUS2[x.dtype]
    radius1 = (x1 * x1 + (y1 * y1 + softening1)).clamp(min=floor)
    radius2 = (x2 * x2 + (y2 * y2 + softening2)).clamp(min=floor)
    inverse = 1 / (radius1 * radius2)
    slope1 = strength1 * radius2
    slope2 = strength2 * radius1
    alpha_x = ((slope1 * x1 + slope2 * x2) * inverse).sum(-2)
    alpha_y = ((slope1 * y1 + slope2 * y2) * inverse).sum(-2)
    return alpha_x, alpha_y


def convergence(
    x: Tensor, y: Tensor, theta_E: Tensor, center_x: Tensor, center_y: Tensor
) -> Tensor:
    """Return zero: all mass is in the point, which no pixel resolves."""
    return torch.zeros_like(x + y + theta_E + center_x + center_y)
