"""Adversarial discriminative domain adaptation (Tzeng et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import (
    SOURCE,
    TARGET,
    Adaptation,
    model_of,
)
from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.config import TrainConfig
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["ADDA"]

DISCRIMINATOR = "discriminator"


class ADDA(Adaptation):
    """A trained network makes features of the target that look like those of the source.

    The source's network stays as it is, and so does the last layer. The adapted network
    answers for both domains, so that the loss of the source says what is lost.
    """

    answers_for_source: ClassVar[str] = MODEL
    needs_start: ClassVar[bool] = True

    adda_encoder_rate: float = Field(
        default=0.1,
        gt=0,
        description="adda: learning rate of the network over that of the discriminator",
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.methods.adaptation.discriminators import critic, feature_count
        from lenssim.learn.methods.adaptation.twins import copy_of

        networks = Method.networks(self, setup)
        model = model_of(networks)
        discriminator = critic(feature_count(model, setup.images))
        return {**networks, SOURCE: copy_of(model), DISCRIMINATOR: discriminator}

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        from lenssim.learn.methods.networks import weight_groups
        from lenssim.learn.nets.cut import last_layer

        last_layer(model_of(networks).net).requires_grad_(requires_grad=False)
        return {
            DISCRIMINATOR: weight_groups([networks[DISCRIMINATOR]]),
            MODEL: weight_groups([networks[MODEL]]),
        }

    @override
    def learning_rate(self, config: TrainConfig, turn: str) -> float:
        if turn == MODEL:
            return config.learning_rate * self.adda_encoder_rate
        return config.learning_rate

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        from torch import no_grad
        from torch.nn.functional import softplus

        from lenssim.learn.methods.adaptation.discriminators import domain_loss

        discriminator = networks[DISCRIMINATOR]
        target = model_of(networks).features(views[TARGET][0]["image"])
        if turn == MODEL:  # with inverted labels: the target is to look like the source
            return softplus(-discriminator(target)).mean()
        networks[SOURCE].eval()
        with no_grad():
            source = model_of(networks, SOURCE).features(views[SOURCE][0]["image"])
        return domain_loss(discriminator(source), discriminator(target.detach()))
