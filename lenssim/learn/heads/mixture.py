"""A mixture of Gaussians (Bishop 1994): posteriors with two minds, or with long tails."""

from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.full import Full
from lenssim.learn.heads.head import Head

__all__ = ["Mixture"]

_PARTS = 3


class Mixture(Head):
    """Three Gaussians of full covariance: the logarithms of their weights, then the outputs of each `Full` head."""

    @property
    @override
    def outputs(self) -> int:
        return _PARTS * (1 + self._part.outputs)

    @property
    def _part(self) -> Full:
        return Full(self.targets, self.base)

    def parts(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of the weights (..., 3), and the outputs (..., 3, K) of the Gaussians."""
        return outputs[..., :_PARTS].log_softmax(-1), outputs[..., _PARTS:].unflatten(
            -1, (_PARTS, -1)
        )

    @override
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        weights, parts = self.parts(outputs)
        return (weights + self._part.log_prob(parts, targets[..., None, :])).logsumexp(-1)

    @override
    def mean(self, outputs: Tensor) -> Tensor:
        weights, parts = self.parts(outputs)
        return (weights.exp()[..., None] * self._part.mean(parts)).sum(-2)

    @override
    def covariance(self, outputs: Tensor) -> Tensor:
        weights, parts = self.parts(outputs.double())
        apart = self._part.mean(parts) - self.mean(outputs.double())[..., None, :]
        each = self._part.covariance(parts) + apart[..., None] * apart[..., None, :]
        return (weights.exp()[..., None, None] * each).sum(-3)

    @override
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        weights, parts = self.parts(outputs.double())
        each = self._part.sample(parts, draws, generator)
        shares = weights.exp().reshape(-1, _PARTS)
        chosen = torch.multinomial(shares, draws, replacement=True, generator=generator).mT
        chosen = chosen.reshape(*each.shape[:-2], 1, 1).expand(
            *each.shape[:-2], 1, self.targets
        )
        return each.gather(-2, chosen)[..., 0, :]
