"""The autoencoder: a code of an image, and the image from its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.detectors.detection import Detection

if TYPE_CHECKING:
    from torch import Tensor

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.detection.autoencoder import Autoencoder
    from lenssim.learn.nets.detection.detector import Detector

__all__ = ["Ae"]


class Ae(Detection):
    """Scores an image by what an autoencoder leaves of it (Alexander et al. 2020)."""

    latent: int | None = Field(
        default=None,
        ge=1,
        le=2**16,
        description="Size of the code of ae, vae and aae",
        json_schema_extra={"unset": "as published: 1,000, or 2,048 for small stamps"},
    )

    def latent_size(self, setup: TrainingSetup) -> int:
        """Return the size of the code."""
        from lenssim.learn.nets.detection.autoencoder import published_latent

        return self.latent or published_latent(setup.images.shape)

    @override
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        from lenssim.learn.nets.detection.autoencoder import Autoencoder

        latent = self.latent_size(setup)
        shape = setup.images.shape
        return Autoencoder(setup.config.normalise, shape, latent, in_sigma=in_sigma)

    def autoencoder(self, networks: Networks) -> Autoencoder:
        """Return the autoencoder of a training."""
        from lenssim.learn.nets.detection.autoencoder import Autoencoder

        network = self.trained(networks)
        assert isinstance(network, Autoencoder)
        return network

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the mean squared residual."""
        (batch,) = views["data"]
        return self.autoencoder(networks).loss(self.scaled(networks, batch))
