"""Principal components: the best linear code of the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.detectors.detection import FittedDetection, scaled_images

if TYPE_CHECKING:
    import numpy as np

    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.detection.detector import Detector
    from lenssim.learn.tasks.task import Data

__all__ = ["Pca", "components_for"]


def components_for(wanted: int, setup: TrainingSetup) -> int:
    """Return the number of components: no more than training images or numbers allow."""
    channels, height, width = setup.images.shape
    return max(1, min(wanted, setup.samples - 1, channels * height * width))


class Pca(FittedDetection):
    """Scores an image by what principal components leave of it."""

    components: int = Field(
        default=64, ge=1, le=2**16, description="Principal components of pca and flow"
    )

    @override
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        from lenssim.learn.nets.detection.linear import PrincipalComponents

        channels, height, width = setup.images.shape
        pixels = channels * height * width
        count = components_for(self.components, setup)
        return PrincipalComponents(setup.config.normalise, pixels, count, in_sigma=in_sigma)

    @override
    def begin(
        self, networks: Networks, dataset: Data, rows: np.ndarray, setup: TrainingSetup
    ) -> None:
        from lenssim.learn.nets.detection.linear import PrincipalComponents

        network = self.trained(networks)
        assert isinstance(network, PrincipalComponents)
        network.fit(scaled_images(network, dataset, rows), setup.config.seed)
