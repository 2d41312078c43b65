"""What the Gaussian heads share: N(mean, (L L^T)^-1), with L lower triangular."""

import math
from abc import abstractmethod
from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.head import Head

__all__ = ["Gaussian"]


class Gaussian(Head):
    """Outputs begin with the mean; what follows says L, the Cholesky factor of the precision."""

    @abstractmethod
    def root(self, outputs: Tensor) -> Tensor:
        """L (..., k, k)."""

    @override
    def mean(self, outputs: Tensor) -> Tensor:
        return outputs[..., : self.targets]

    @override
    def covariance(self, outputs: Tensor) -> Tensor:
        inverse = self._inverse(outputs)
        return inverse.mT @ inverse

    @override
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        root = self.root(outputs)
        pulls = (root.mT @ (targets - self.mean(outputs))[..., None])[..., 0]
        log_determinant = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_determinant - 0.5 * pulls.square().sum(-1) - 0.5 * self.targets * math.log(2 * math.pi)

    @override
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        mean = self.mean(outputs.double())
        normal = torch.randn((draws, *mean.shape), generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + (normal[..., None, :] @ self._inverse(outputs))[..., 0, :]

    def _inverse(self, outputs: Tensor) -> Tensor:
        root = self.root(outputs.double())
        unit = torch.eye(self.targets, dtype=root.dtype, device=root.device).expand_as(root)
        return torch.linalg.solve_triangular(root, unit, upper=False)
