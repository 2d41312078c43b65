"""No noise: the observed image is the expected one."""

from typing import override

import numpy as np

from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.noise.model import NoiseIdentity, NoiseModel
from lenssim.simulate.scenes import Scenes

__all__ = ["NoNoise"]


class NoNoise(NoiseModel):
    """Images without noise."""

    name = "none"

    @override
    def sigma(
        self, expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
    ) -> np.ndarray:
        return np.zeros_like(expected)

    @override
    def sample(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
        identity: NoiseIdentity,
    ) -> np.ndarray:
        return expected
