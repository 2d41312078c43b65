"""The distance of plain statistics from those of the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from lenssim.learn.methods.detectors.detection import FittedDetection, scaled_images

if TYPE_CHECKING:
    import numpy as np

    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.detection.detector import Detector
    from lenssim.learn.tasks.task import Data

__all__ = ["Statistics"]


class Statistics(FittedDetection):
    """Scores an image by the Mahalanobis distance of `image_features`, as `Novelty` does."""

    @override
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        from lenssim.learn.nets.detection.linear import Statistics as Network

        return Network(setup.config.normalise, setup.images.shape, in_sigma=in_sigma)

    @override
    def begin(
        self, networks: Networks, dataset: Data, rows: np.ndarray, setup: TrainingSetup
    ) -> None:
        from lenssim.learn.inputs.image_features import image_features
        from lenssim.learn.nets.detection.linear import Statistics as Network
        from lenssim.learn.scores.novelty import mean_and_precision

        network = self.trained(networks)
        assert isinstance(network, Network)
        images = scaled_images(network, dataset, rows)
        centre, precision = mean_and_precision(image_features(images))
        network.set(images.mean(axis=0), centre, precision)
