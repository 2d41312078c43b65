"""The contract of a head: a network's outputs read as a probability of k whitened targets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from lenssim.learn.heads.base import NORMAL, RadialBase

__all__ = ["MAX_LOG_ROOT", "Head", "standardised"]

MAX_LOG_ROOT = 12.0
"""Largest logarithm of a precision's root: beyond it, single precision would over- or underflow."""
_MIN_EIGENVALUE = 1e-12  # of a correlation matrix; smaller ones are rounding errors


def standardised(error: Tensor, covariance: Tensor) -> Tensor:
    """Return errors along the axes of their covariances, in units of their standard deviations.

    The result is finite for every covariance: an axis along which targets are correlated beyond
    double precision counts with the smallest eigenvalue that double precision resolves.

    Args:
        error: Errors (..., k).
        covariance: Covariances (..., k, k).

    Returns:
        Standardised errors (..., k).

    Example:
        >>> standardised(torch.tensor([2.0, 3.0]), torch.diag(torch.tensor([4.0, 9.0]))).norm()
        tensor(1.4142)
    """
    sigma = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    eigenvalues, axes = torch.linalg.eigh(
        covariance / (sigma[..., :, None] * sigma[..., None, :])
    )
    projected = (axes.mT @ (error / sigma)[..., None])[..., 0]
    return projected / eigenvalues.clamp_min(_MIN_EIGENVALUE).sqrt()


@dataclass(frozen=True)
class Head(ABC):
    """A probability of k `targets`, read from network outputs (..., K).

    A head maps numbers of its `base`, which is normal before calibration, to targets. Densities are
    computed in the precision of the outputs. Moments and draws are computed in double precision.
    """

    targets: int
    base: RadialBase = NORMAL

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Return the number K of network outputs that this head needs."""

    def normalised(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the numbers of the base (..., k) that correspond to targets (..., k).

        By default they follow from mean and covariance.
        """
        return standardised(targets - self.mean(outputs), self.covariance(outputs))

    @abstractmethod
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the logarithm (...) of the density at targets (..., k)."""

    @abstractmethod
    def mean(self, outputs: Tensor) -> Tensor:
        """Return the mean (..., k)."""

    @abstractmethod
    def covariance(self, outputs: Tensor) -> Tensor:
        """Return the covariance (..., k, k)."""

    @abstractmethod
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        """Return random targets (draws, ..., k)."""
