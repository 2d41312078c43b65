"""The posterior of a Gaussian head, averaged over many images."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from lenssim.learn.heads import Base
from lenssim.learn.scores.posterior import Posterior

__all__ = ["Averaged"]


@dataclass(frozen=True)
class Averaged:
    """The posterior of a Gaussian head averaged over many images, by its moments: mean (T,), covariance (T, T)."""

    mean: np.ndarray
    covariance: np.ndarray
    base: Base

    @classmethod
    def of(cls, posterior: Posterior) -> Self:
        """Of N posteriors, which all have the same base."""
        apart = posterior.mean - posterior.mean.mean(0)
        covariance = posterior.covariance.mean(0) + apart.T @ apart / len(apart)
        return cls(posterior.mean.mean(0), covariance, posterior.head.base)

    def log_density(self, at: np.ndarray) -> np.ndarray:
        """Logarithm (...) of the density at (..., T)."""
        root = np.linalg.cholesky(self.covariance / self.base.variance(len(self.mean)))
        z = np.linalg.solve(root, (at - self.mean)[..., None])[..., 0]
        return (
            self.base.log_prob(torch.from_numpy(z)).numpy()
            - np.log(np.diagonal(root)).sum()
        )
