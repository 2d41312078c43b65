"""Detectors, one a file: a new one is a subclass of `Detection` and its line in `DETECTORS`."""

from lenssim.errors import unknown
from lenssim.learn.methods.detectors.aae import Aae
from lenssim.learn.methods.detectors.ae import Ae
from lenssim.learn.methods.detectors.chi2 import Chi2
from lenssim.learn.methods.detectors.detection import Detection
from lenssim.learn.methods.detectors.flow import Flow
from lenssim.learn.methods.detectors.patchcore import PatchCore
from lenssim.learn.methods.detectors.pca import Pca
from lenssim.learn.methods.detectors.statistics import Statistics
from lenssim.learn.methods.detectors.vae import Vae

__all__ = ["DETECTORS", "Detection", "check_detector"]

DETECTORS: dict[str, type[Detection]] = {
    "chi2": Chi2,
    "statistics": Statistics,
    "pca": Pca,
    "ae": Ae,
    "vae": Vae,
    "aae": Aae,
    "flow": Flow,
    "patchcore": PatchCore,
}


def check_detector(name: str) -> None:
    """Check that a detector exists; `ConfigError` for an unknown one."""
    if name not in DETECTORS:
        raise unknown("detector", name, DETECTORS, code="unknown-detector")
