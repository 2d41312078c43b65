"""What detectors have in common as methods: they learn images of one kind, without labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.detection.detector import Detector
    from lenssim.learn.tasks.task import Data

__all__ = ["Detection", "FittedDetection", "scaled_images"]

_MOST_IMAGES = 8192  # that numbers without steps are taken from


def scaled_images(detector: Detector, dataset: Data, rows: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) of the first 8,192 rows as a detector sees them."""
    from torch import as_tensor

    images = dataset.images(rows[:_MOST_IMAGES])
    return detector.scale(as_tensor(images)).numpy()


class Detection(Method):
    """Trains a `Detector`: a network that says how well images are explained."""

    tasks: ClassVar[tuple[str, ...]] = ("anomaly",)

    @abstractmethod
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        """Return the untrained detector; `in_sigma` of images in units of their noise."""

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.nets.model import Model

        config = setup.config
        detector = self.detector(setup, in_sigma=config.picture == "residual")
        detector.name = config.method
        images = setup.images
        outputs = setup.task.outputs
        through = setup.through
        model = Model(detector, "none", images, outputs, config.seed, through=through)
        return {MODEL: model}

    def trained(self, networks: Networks) -> Detector:
        """Return the detector of a training."""
        from lenssim.learn.nets.detection.detector import Detector

        detector = self.export(networks).net
        assert isinstance(detector, Detector)
        return detector

    def scaled(self, networks: Networks, batch: Batch) -> Tensor:
        """Return a batch as the detector sees it."""
        return self.trained(networks).scale(batch["image"])


class FittedDetection(Detection):
    """A detector whose numbers follow from the training images at once."""

    has_steps: ClassVar[bool] = False

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        raise NotImplementedError("a fitted detector takes no steps")
