"""The variational autoencoder: a code with a mean and a spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.detectors.ae import Ae

if TYPE_CHECKING:
    from torch import Tensor

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.detection.detector import Detector

__all__ = ["Vae"]


class Vae(Ae):
    """Scores an image by what the mean code leaves of it (Kingma & Welling 2014)."""

    divergence: float = Field(
        default=1e-4,
        ge=0,
        description="Weight of vae's divergence from the prior, beside the mean squared residual",
    )

    @override
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        from lenssim.learn.nets.detection.autoencoder import VariationalAutoencoder

        latent = self.latent_size(setup)
        shape = setup.images.shape
        return VariationalAutoencoder(
            setup.config.normalise, shape, latent, in_sigma=in_sigma
        )

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the squared residual of a drawn code, and its weighted divergence."""
        from lenssim.learn.nets.detection.autoencoder import VariationalAutoencoder

        (batch,) = views["data"]
        network = self.autoencoder(networks)
        assert isinstance(network, VariationalAutoencoder)
        return network.elbo_loss(self.scaled(networks, batch), self.divergence)
