"""Alignment by the maximum mean discrepancy (Gretton et al. 2012; Long et al. 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import Adaptation, Pair

if TYPE_CHECKING:
    from torch import Tensor

    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["MMD"]


class MMD(Adaptation):
    """Adds the squared maximum mean discrepancy of features, without bias, to the loss."""

    mmd_weight: float = Field(
        default=1.0, ge=0, description="mmd: weight of the discrepancy of the features"
    )

    @override
    def total(
        self, loss: Tensor, pair: Pair, networks: Networks, setup: TrainingSetup
    ) -> Tensor:
        from lenssim.learn.methods.adaptation.losses import mmd

        distance = mmd(pair.source_features, pair.target_features)
        return loss + self.mmd_weight * distance
