"""Wasserstein distance guided representation learning (Shen et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import Adaptation, Pair, model_of
from lenssim.learn.methods.method import MODEL

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["WDGRL"]

CRITIC = "critic"


class WDGRL(Adaptation):
    """A critic estimates the Wasserstein distance of the features; the network lowers it."""

    wdgrl_weight: float = Field(
        default=0.1, ge=0, description="wdgrl: weight of the Wasserstein distance"
    )
    wdgrl_steps: int = Field(
        default=5, ge=1, le=100, description="wdgrl: steps of the critic for each batch"
    )
    wdgrl_penalty: float = Field(
        default=10.0, ge=0, description="wdgrl: weight of the critic's gradient penalty"
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.methods.adaptation.discriminators import critic, feature_count

        networks = super().networks(setup)
        features = feature_count(model_of(networks), setup.images)
        return {**networks, CRITIC: critic(features)}

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        from lenssim.learn.methods.networks import weight_groups

        return {
            CRITIC: weight_groups([networks[CRITIC]]),
            MODEL: weight_groups([networks[MODEL]]),
        }

    @override
    def turns(self, networks: Networks) -> tuple[str, ...]:
        return (*[CRITIC] * self.wdgrl_steps, MODEL)

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        if turn == MODEL:
            return super().step(networks, views, setup, turn)
        from torch import no_grad

        from lenssim.learn.methods.adaptation.losses import gradient_penalty

        critic = networks[CRITIC]
        with no_grad():
            pair = self.pair(networks, views)
        source = pair.source_features
        target = pair.target_features
        penalty = gradient_penalty(critic, source, target)
        return self.wdgrl_penalty * penalty - self._distance(pair, critic)

    @override
    def total(
        self, loss: Tensor, pair: Pair, networks: Networks, setup: TrainingSetup
    ) -> Tensor:
        return loss + self.wdgrl_weight * self._distance(pair, networks[CRITIC])

    def _distance(self, pair: Pair, critic: nn.Module) -> Tensor:
        """Return the critic's estimate of the Wasserstein distance."""
        distance: Tensor = critic(pair.source_features) - critic(pair.target_features)
        return distance.mean()
