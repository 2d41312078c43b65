"""The posterior of a Gaussian head, averaged over many images."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from lenssim.learn.heads import RadialBase
from lenssim.learn.scores.posterior import Posterior

__all__ = ["AveragePosterior"]


@dataclass(frozen=True)
class AveragePosterior:
    """The posterior of a Gaussian head averaged over many images, by its moments.

    Attributes:
        mean: Mean (T,).
        covariance: Covariance (T, T).
        base: The base of the head.

    Example:
        >>> average = AveragePosterior(np.zeros(1), np.eye(1), RadialBase())
        >>> round(float(average.log_density(np.zeros(1))), 3)
        -0.919
    """

    mean: np.ndarray
    covariance: np.ndarray
    base: RadialBase

    @classmethod
    def of(cls, posterior: Posterior) -> Self:
        """Average N posteriors, which all have the same base."""
        mean = posterior.mean.mean(0)
        offsets = posterior.mean - mean
        covariance = posterior.covariance.mean(0) + offsets.T @ offsets / len(offsets)
        return cls(mean, covariance, posterior.head.base)

    def log_density(self, targets: np.ndarray) -> np.ndarray:
        """Return the logarithm (...) of the density at targets (..., T)."""
        root = np.linalg.cholesky(self.covariance / self.base.variance(len(self.mean)))
        z = np.linalg.solve(root, (targets - self.mean)[..., None])[..., 0]
        log_determinant = np.log(np.diagonal(root)).sum()
        return self.base.log_prob(torch.from_numpy(z)).numpy() - log_determinant
