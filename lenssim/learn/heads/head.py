"""What a head is: a network's outputs read as a probability of k whitened targets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LARGEST", "Head"]

LARGEST = 12.0
"""Of the logarithm of a precision's root: beyond, single precision would over- or underflow."""


@dataclass(frozen=True)
class Head(ABC):
    """A probability of k `targets`: what outputs (..., K) stand for.

    Densities are worked out in the outputs' precision; moments and draws in double precision.
    """

    targets: int

    @property
    @abstractmethod
    def outputs(self) -> int:
        """K."""

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
