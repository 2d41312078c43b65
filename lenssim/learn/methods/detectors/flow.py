"""A normalising flow over principal components: how probable an image's code is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.detectors.detection import Detection, scaled_images
from lenssim.learn.methods.detectors.pca import components_for

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.detection.density import ComponentDensity
    from lenssim.learn.nets.detection.detector import Detector
    from lenssim.learn.tasks.task import Data

__all__ = ["Flow"]


class Flow(Detection):
    """Scores an image by the density of its principal components (Durkan et al. 2019)."""

    components: int = Field(
        default=64, ge=1, le=2**16, description="Principal components of pca and flow"
    )

    @override
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        from lenssim.learn.nets.detection.density import ComponentDensity

        channels, height, width = setup.images.shape
        count = components_for(self.components, setup)
        scale = setup.config.normalise
        return ComponentDensity(scale, channels * height * width, count, in_sigma=in_sigma)

    def _density(self, networks: Networks) -> ComponentDensity:
        from lenssim.learn.nets.detection.density import ComponentDensity

        network = self.trained(networks)
        assert isinstance(network, ComponentDensity)
        return network

    @override
    def begin(
        self, networks: Networks, dataset: Data, rows: np.ndarray, setup: TrainingSetup
    ) -> None:
        network = self._density(networks)
        network.fit(scaled_images(network, dataset, rows), setup.config.seed)

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the mean negative logarithm of the density."""
        (batch,) = views["data"]
        return self._density(networks).surprise(self.scaled(networks, batch)).mean()

    @override
    def validation_step(
        self, networks: Networks, batch: Batch, setup: TrainingSetup
    ) -> tuple[Tensor, Tensor]:
        from lenssim.learn.nets.detection.facts import fact

        outputs, _ = super().validation_step(networks, batch, setup)
        return outputs, fact(outputs, "score").mean()
