"""The prior of the parameters in a training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from lenssim.simulate.distributions import log_density, sample, support

__all__ = ["Prior"]


@dataclass(frozen=True)
class Prior:
    """The independent distributions of T parameters in the training.

    Example:
        >>> from lenssim.simulate.distributions import Uniform
        >>> float(Prior((Uniform(uniform=(0.0, 2.0)),)).log_density(np.array([1.0])).round(3))
        -0.693
    """

    laws: tuple[Any, ...]

    def log_density(self, parameters: np.ndarray) -> np.ndarray:
        """Return the log-density (...) at parameters (..., T), -inf outside of the prior."""
        total = np.zeros(parameters.shape[:-1])
        for k, law in enumerate(self.laws):
            total = total + log_density(law, parameters[..., k])
        return total

    def log_share(self, mean: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Return the log-share (M,) of N(mean, width^2) within the support of the prior.

        Args:
            mean: Means (M, T) within the support.
            width: Standard deviations (M, T).
        """
        low, high = np.array([support(law) for law in self.laws]).T
        return np.log(ndtr((high - mean) / width) - ndtr((low - mean) / width)).sum(-1)

    def sample(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Return random parameters (draws, T)."""
        return np.stack([sample(law, rng, draws) for law in self.laws], axis=1)
