"""The common part of the Gaussian heads: N(mean, (L L^T)^-1), with L lower triangular."""

from abc import abstractmethod
from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.head import Head

__all__ = ["Gaussian"]


class Gaussian(Head):
    """A head with outputs for the mean, then for L, the Cholesky factor of the precision."""

    @abstractmethod
    def root(self, outputs: Tensor) -> Tensor:
        """Return L (..., k, k)."""

    @override
    def mean(self, outputs: Tensor) -> Tensor:
        return outputs[..., : self.targets]

    @override
    def covariance(self, outputs: Tensor) -> Tensor:
        inverse = self._inverse(outputs)
        return inverse.mT @ inverse * self.base.variance(self.targets)

    @override
    def normalised(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (self.root(outputs).mT @ (targets - self.mean(outputs))[..., None])[..., 0]

    @override
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        log_determinant = self.root(outputs).diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self.base.log_prob(self.normalised(outputs, targets)) + log_determinant

    @override
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        mean = self.mean(outputs.double())
        normal = torch.randn(
            (draws, *mean.shape), generator=generator, dtype=mean.dtype, device=mean.device
        )
        z = self.base.warp(normal)
        return mean + (z[..., None, :] @ self._inverse(outputs))[..., 0, :]

    def _inverse(self, outputs: Tensor) -> Tensor:
        root = self.root(outputs.double())
        unit = torch.eye(self.targets, dtype=root.dtype, device=root.device).expand_as(root)
        return torch.linalg.solve_triangular(root, unit, upper=False)
