"""Uniform sheet of mass, or external convergence."""

import torch
from torch import Tensor

__all__ = ["convergence", "deflection"]


def deflection(x: Tensor, y: Tensor, kappa: Tensor) -> tuple[Tensor, Tensor]:
    """Return the deflection kappa (x, y) [arcsec], none at (0, 0)."""
    return kappa * x, kappa * y


def convergence(x: Tensor, y: Tensor, kappa: Tensor) -> Tensor:
    """Return kappa everywhere."""
    return kappa + torch.zeros_like(x + y)
