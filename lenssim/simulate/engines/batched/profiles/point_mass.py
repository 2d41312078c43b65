"""Point mass."""

import torch
from torch import Tensor

__all__ = ["MIN_RADIUS2", "convergence", "deflection"]

MIN_RADIUS2 = {torch.float32: 1e-30, torch.float64: 1e-50}  # arcsec^2; lenstronomy's underflows in float32


def deflection(x: Tensor, y: Tensor, theta_E: Tensor, center_x: Tensor, center_y: Tensor) -> tuple[Tensor, Tensor]:
    """Deflection theta_E^2 / r^2 (x, y) [arcsec] for an Einstein radius theta_E [arcsec]; 0 on the mass."""
    x, y = x - center_x, y - center_y
    radius2 = x**2 + y**2
    strength = theta_E**2 / radius2.clamp(min=MIN_RADIUS2[radius2.dtype])
    return strength * x, strength * y


def convergence(x: Tensor, y: Tensor, theta_E: Tensor, center_x: Tensor, center_y: Tensor) -> Tensor:
    """Zero: all mass is in the point, which no pixel resolves."""
    return torch.zeros_like(x + y + theta_E + center_x + center_y)
