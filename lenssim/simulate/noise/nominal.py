"""The nominal noise of a CCD: Gaussian, of the background and of the light."""

from typing import override

import numpy as np

from lenssim.simulate.instruments import Instrument
from lenssim.simulate.noise.model import NoiseModel
from lenssim.simulate.noise.variance import camera_columns, noise_sigma, pixel_variance
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.streams import NOISE, blocks, generator

__all__ = ["NominalNoise"]


class NominalNoise(NoiseModel):
    """Gaussian noise, independent in each pixel, of the variance of `pixel_variance`."""

    name = "nominal"

    @override
    def sigma(
        self, expected: np.ndarray, scenes: Scenes, instrument: Instrument
    ) -> np.ndarray:
        return noise_sigma(expected, scenes, instrument)

    @override
    def sample(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: Instrument,
        *,
        numbers: np.ndarray,
        seed: int,
        split: str,
    ) -> np.ndarray:
        noisy = np.empty_like(expected)
        exposure_time = scenes.params.get("exposure_time")
        total, background = camera_columns(
            instrument, exposure_time, len(scenes), expected.dtype
        )
        # block by block, so that nothing leaves the cache
        for block, positions, rows in blocks(numbers):
            rng = generator(seed, split, NOISE, block)
            shape = (rows.max() + 1, *expected.shape[1:])
            deviates = rng.standard_normal(shape, dtype=np.float32)[rows]
            flux = expected[positions]
            variance = pixel_variance(flux, background[positions] ** 2, total[positions])
            noisy[positions] = flux + deviates * np.sqrt(variance, out=variance)
        return noisy
