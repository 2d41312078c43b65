"""External shear."""

import torch
from torch import Tensor

__all__ = ["convergence", "deflection"]


def deflection(
    x: Tensor, y: Tensor, gamma1: Tensor, gamma2: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the deflection (gamma1 x + gamma2 y, gamma2 x - gamma1 y) [arcsec], none at (0, 0)."""
    return gamma1 * x + gamma2 * y, gamma2 * x - gamma1 * y


def convergence(x: Tensor, y: Tensor, gamma1: Tensor, gamma2: Tensor) -> Tensor:
    """Return zero."""
    return torch.zeros_like(x + y + gamma1 + gamma2)
