"""The adversarial autoencoder: codes that a discriminator cannot tell from a prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.detectors.ae import Ae
from lenssim.learn.methods.method import MODEL

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.config import TrainConfig
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["Aae"]

_DISCRIMINATOR = "discriminator"
_ENCODER = "encoder"


class Aae(Ae):
    """Scores an image as `Ae`; its codes follow a prior (Makhzani et al. 2015).

    Three optimisers take turns: encoder and decoder lower the residual, the discriminator tells
    codes from the prior, and the encoder deceives it.
    """

    prior: float = Field(
        default=5.0, gt=0, description="Standard deviation of the codes of aae"
    )

    deceit: float = Field(
        default=0.1,
        gt=0,
        le=10,
        description="Learning rate with which the encoder of aae deceives its discriminator, "
        "over that of all else",
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.nets.detection.autoencoder import discriminator

        networks = super().networks(setup)
        return {**networks, _DISCRIMINATOR: discriminator(self.latent_size(setup))}

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        """Return the weights of the three turns."""
        return {
            MODEL: [*self.autoencoder(networks).parameters()],
            _DISCRIMINATOR: [*networks[_DISCRIMINATOR].parameters()],
            _ENCODER: [*self.autoencoder(networks).encoder.parameters()],
        }

    @override
    def learning_rate(self, config: TrainConfig, turn: str) -> float:
        """Return the learning rate of a turn: published is a tenth against the discriminator."""
        factor = self.deceit if turn == _ENCODER else 1.0
        return factor * config.learning_rate

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the squared residual, or a cross entropy of the discriminator."""
        from torch import cat, no_grad, randn_like
        from torch.nn.functional import softplus

        (batch,) = views["data"]
        scaled = self.scaled(networks, batch)
        network = self.autoencoder(networks)
        if turn == MODEL:
            return network.loss(scaled)
        judge = networks[_DISCRIMINATOR]
        if turn == _ENCODER:
            return softplus(-judge(network.code(scaled))).mean()
        with no_grad():
            codes = network.code(scaled)
        prior_codes = self.prior * randn_like(codes)
        return cat([softplus(-judge(prior_codes)), softplus(judge(codes))]).mean()
