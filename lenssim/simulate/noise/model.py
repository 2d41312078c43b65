"""The contract of a kind of noise."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.noise.deviates import NEWEST
from lenssim.simulate.scenes import Scenes

__all__ = ["FLUX_UNIT", "NoiseIdentity", "NoiseModel"]

FLUX_UNIT = "e-/s"  # of expected images


@dataclass(frozen=True)
class NoiseIdentity:
    """What decides the noise of samples, besides their images.

    Attributes:
        numbers: Sample numbers (N,) int64.
        seed: Seed of the data set.
        split: Split of the data set.
        stream: Name of the stream of normal deviates, in `STREAMS`.
    """

    numbers: np.ndarray
    seed: int
    split: str
    stream: str = NEWEST


class NoiseModel(ABC):
    """A kind of noise: the distribution of an observed image about its expected one.

    A new kind is a file with a subclass and a line in `NOISES`. `unit` is that of observed
    images. `has_streams` says whether its normal deviates come from a stream that the data
    set names, see `deviates`. A sample's noise depends on its seed, split and number alone, and not on the
    images that are observed together with it.
    """

    name: ClassVar[str]
    unit: ClassVar[str] = FLUX_UNIT
    has_streams: ClassVar[bool] = False

    def mean(
        self, expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
    ) -> np.ndarray:
        """Return the mean of observed images.

        Args:
            expected: Expected images (N, C, H, W) in e-/s.
            scenes: The scenes that they show.
            instrument: The camera.

        Returns:
            The mean in `unit`, of the shape of `expected`.
        """
        return expected

    @abstractmethod
    def sigma(
        self, expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
    ) -> np.ndarray:
        """Return the standard deviation of observed images; arguments as `mean`.

        Of noise that resampling correlated it is that of the weight map.
        """

    def coverage(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
        identity: NoiseIdentity,
    ) -> np.ndarray | None:
        """Return the share of the exposures that saw each pixel; arguments as `sample`.

        Returns:
            Shares float32 (N, C, H, W), 0 for masked pixels; None where all saw every pixel.
        """
        return None

    @abstractmethod
    def sample(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
        identity: NoiseIdentity,
    ) -> np.ndarray:
        """Return observed images.

        Args:
            expected: Expected images (N, C, H, W) in e-/s.
            scenes: The scenes that they show.
            instrument: The camera.
            identity: The sample numbers (N,), seed, split and stream.

        Returns:
            Images (N, C, H, W) in `unit`.
        """
