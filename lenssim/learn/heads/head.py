"""What a head is: a network's outputs read as a Gaussian over k whitened targets."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

__all__ = ["LARGEST", "Head"]

LARGEST = 12.0
"""Of the logarithm of a precision's root: beyond, single precision would over- or underflow."""


@dataclass(frozen=True)
class Head(ABC):
    """A Gaussian of k `targets`, N(mean, (L L^T)^-1), with L lower triangular: what outputs (..., K) stand for."""

    targets: int

    @property
    @abstractmethod
    def outputs(self) -> int:
        """K."""

    @abstractmethod
    def root(self, outputs: Tensor) -> Tensor:
        """L (..., k, k), the Cholesky factor of the precision."""

    def mean(self, outputs: Tensor) -> Tensor:
        """(..., k)."""
        return outputs[..., : self.targets]

    def covariance(self, outputs: Tensor) -> Tensor:
        """(..., k, k), in double precision."""
        inverse = self.root(outputs.double()).inverse()
        return inverse.mT @ inverse

    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """log N (...) of targets (..., k)."""
        root = self.root(outputs)
        pulls = (root.mT @ (targets - self.mean(outputs))[..., None])[..., 0]
        log_determinant = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_determinant - 0.5 * pulls.square().sum(-1) - 0.5 * self.targets * math.log(2 * math.pi)
