"""Domain-adversarial training (Ganin et al. 2016)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import Adaptation, Pair, model_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["DANN"]

DISCRIMINATOR = "discriminator"
_STEEPNESS = 10.0  # of the rise of the reversed gradient


class DANN(Adaptation):
    """A discriminator tells the domains apart; the network turns its gradient round."""

    laid_out: ClassVar[bool] = True

    dann_weight: float = Field(
        default=1.0, ge=0, description="dann: weight of the reversed gradient at the end"
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.methods.adaptation.discriminators import critic, feature_count

        networks = super().networks(setup)
        features = feature_count(model_of(networks), setup.images)
        return {**networks, DISCRIMINATOR: critic(features)}

    @override
    def total(
        self, loss: Tensor, pair: Pair, networks: Networks, setup: TrainingSetup
    ) -> Tensor:
        from lenssim.learn.methods.adaptation.discriminators import domain_loss
        from lenssim.learn.methods.adaptation.losses import reversed_gradient

        strength = self.strength(setup.progress)
        logits = [
            networks[DISCRIMINATOR](reversed_gradient(features, strength))
            for features in (pair.source_features, pair.target_features)
        ]
        return loss + domain_loss(*logits)

    def strength(self, progress: float) -> float:
        """Return the factor of the reversed gradient, which rises from 0.

        Example:
            >>> DANN().strength(0.0)
            0.0
        """
        return self.dann_weight * (2 / (1 + math.exp(-_STEEPNESS * progress)) - 1)
