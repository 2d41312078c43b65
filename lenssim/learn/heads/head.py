"""What a head is: a network's outputs read as a probability of k whitened targets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from lenssim.learn.heads.base import NORMAL, Base

__all__ = ["LARGEST", "Head", "standardised"]

LARGEST = 12.0
"""Of the logarithm of a precision's root: beyond, single precision would over- or underflow."""
_LEAST = 1e-12  # eigenvalue of a correlation matrix that is not rounding


def standardised(error: Tensor, covariance: Tensor) -> Tensor:
    """Errors (..., k) along the axes of covariances (..., k, k), over their own errors: finite for every covariance.

    Axes along which targets are correlated beyond what double precision resolves count with the least it does.
    """
    sigma = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    values, axes = torch.linalg.eigh(
        covariance / (sigma[..., :, None] * sigma[..., None, :])
    )
    return (axes.mT @ (error / sigma)[..., None])[..., 0] / values.clamp_min(_LEAST).sqrt()


@dataclass(frozen=True)
class Head(ABC):
    """A probability of k `targets`: what outputs (..., K) stand for, with normal numbers or another `base` inside.

    Densities are worked out in the outputs' precision; moments and draws in double precision.
    """

    targets: int
    base: Base = NORMAL

    @property
    @abstractmethod
    def outputs(self) -> int:
        """K."""

    def normalised(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Numbers (..., k) of the base that stand for targets (..., k); by default from mean and covariance."""
        return standardised(targets - self.mean(outputs), self.covariance(outputs))

    @abstractmethod
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Logarithm (...) of the density at targets (..., k)."""

    @abstractmethod
    def mean(self, outputs: Tensor) -> Tensor:
        """(..., k)."""

    @abstractmethod
    def covariance(self, outputs: Tensor) -> Tensor:
        """(..., k, k)."""

    @abstractmethod
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        """Random targets (draws, ..., k)."""
