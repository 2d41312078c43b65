"""A mixture of Gaussians (Bishop 1994): posteriors with several modes, or with long tails."""

from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.full import Full
from lenssim.learn.heads.head import Head

__all__ = ["Mixture"]

_COMPONENTS = 3


class Mixture(Head):
    """A head of three Gaussians with full covariance.

    Its outputs are the logarithms of their weights, then the outputs of each `Full` head.

    Example:
        >>> Mixture(targets=2).outputs
        18
    """

    @property
    @override
    def outputs(self) -> int:
        return _COMPONENTS * (1 + self._component.outputs)

    @property
    def _component(self) -> Full:
        return Full(self.targets, self.base)

    def components(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-weights (..., 3), and the outputs (..., 3, K) of the Gaussians."""
        log_weights = outputs[..., :_COMPONENTS].log_softmax(-1)
        return log_weights, outputs[..., _COMPONENTS:].unflatten(-1, (_COMPONENTS, -1))

    @override
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        log_weights, components = self.components(outputs)
        densities = self._component.log_prob(components, targets[..., None, :])
        return (log_weights + densities).logsumexp(-1)

    @override
    def mean(self, outputs: Tensor) -> Tensor:
        log_weights, components = self.components(outputs)
        return (log_weights.exp()[..., None] * self._component.mean(components)).sum(-2)

    @override
    def covariance(self, outputs: Tensor) -> Tensor:
        log_weights, components = self.components(outputs.double())
        mean = self.mean(outputs.double())
        offsets = self._component.mean(components) - mean[..., None, :]
        scatter = offsets[..., None] * offsets[..., None, :]
        moments = self._component.covariance(components) + scatter
        return (log_weights.exp()[..., None, None] * moments).sum(-3)

    @override
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        log_weights, components = self.components(outputs.double())
        candidates = self._component.sample(components, draws, generator)
        weights = log_weights.exp().reshape(-1, _COMPONENTS)
        choice = torch.multinomial(weights, draws, replacement=True, generator=generator).mT
        choice = choice.reshape(*candidates.shape[:-2], 1, 1).expand(
            *candidates.shape[:-2], 1, self.targets
        )
        return candidates.gather(-2, choice)[..., 0, :]
