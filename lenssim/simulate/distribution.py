"""Distribution: the interface of every distribution of a preset."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from lenssim.record import Record

__all__ = ["Distribution"]


class Distribution(Record, ABC):
    """Base of the distributions: frozen, and an unknown key is an error.

    `numbers` describes the numbers under the distribution's key. With `tails` a draw has no
    bounds.
    """

    numbers: ClassVar[str]
    tails: ClassVar[bool] = False

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draw `n` numbers, float64 (n,); they are independent except for `Shared`."""

    @abstractmethod
    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density at x, of the same shape; -inf outside the support."""

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
