"""Distribution: what every distribution of a preset can do."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

__all__ = ["Distribution"]


class Distribution(BaseModel, ABC):
    """Base of the distributions: frozen, and an unknown key is an error.

    `numbers` names the numbers under its key; with `tails` there is no end to what may be drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    numbers: ClassVar[str]
    tails: ClassVar[bool] = False

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` draws, float64 (n,); independent, but for those of `Shared`."""

    @abstractmethod
    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the density at x, of the same shape; -inf where nothing is drawn."""

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Ends of where numbers are drawn."""
