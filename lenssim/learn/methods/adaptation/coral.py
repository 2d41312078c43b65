"""Alignment of covariances (Sun & Saenko 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import Adaptation, Pair

if TYPE_CHECKING:
    from torch import Tensor

    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["Coral"]


class Coral(Adaptation):
    """Adds the distance of the covariances of features to the loss of the source."""

    coral_weight: float = Field(
        default=1.0, ge=0, description="coral: weight of the distance of the covariances"
    )

    @override
    def total(
        self, loss: Tensor, pair: Pair, networks: Networks, setup: TrainingSetup
    ) -> Tensor:
        from lenssim.learn.methods.adaptation.losses import coral

        distance = coral(pair.source_features, pair.target_features)
        return loss + self.coral_weight * distance
