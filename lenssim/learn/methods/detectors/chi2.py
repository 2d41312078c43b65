"""The chi squared of the best smooth lens: trained on nothing, the bar of all detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from lenssim.errors import ConfigError
from lenssim.learn.methods.detectors.detection import FittedDetection

if TYPE_CHECKING:
    from lenssim.learn.methods.method import TrainingSetup
    from lenssim.learn.nets.detection.detector import Detector

__all__ = ["Chi2"]


class Chi2(FittedDetection):
    """Scores an image by what the best smooth lens leaves of it."""

    @override
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        from lenssim.learn.nets.detection.linear import Identity

        if not in_sigma:
            raise ConfigError(
                "the detector chi2 judges what a smooth lens leaves of an image: give "
                "--picture residual, of data made by lenssim generate --truth residual or "
                "by lenssim fit",
                code="picture-needed",
                picture=setup.config.picture,
                detector="chi2",
            )
        return Identity("none", in_sigma=True)
