"""The nominal noise of a CCD: Gaussian, of the background and of the light."""

from typing import override

import numpy as np

from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.noise.model import NoiseModel
from lenssim.simulate.noise.variance import camera_columns, noise_sigma, pixel_variance
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.streams import blocks, noise_generator

__all__ = ["NominalNoise"]


class NominalNoise(NoiseModel):
    """Gaussian noise, independent in each pixel, of the variance of `pixel_variance`."""

    name = "nominal"

    @override
    def sigma(
        self, expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
    ) -> np.ndarray:
        return noise_sigma(expected, scenes, instrument)

    @override
    def sample(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
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
            deviates = _deviates(seed, split, block, rows, expected.shape[1:])
            flux = expected[positions]
            variance = pixel_variance(flux, background[positions] ** 2, total[positions])
            noisy[positions] = flux + deviates * np.sqrt(variance, out=variance)
        return noisy


def _deviates(
    seed: int, split: str, block: int, rows: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Draw standard normal numbers float32 (K, C, H, W) for the rows (K,) of a block.

    Each band has its own stream, so that the noise of the first band does not depend on
    whether there are others.
    """
    bands, height, width = shape
    drawn = (rows.max() + 1, 1, height, width)
    deviates = [
        noise_generator(seed, split, block, band).standard_normal(drawn, dtype=np.float32)
        for band in range(bands)
    ]
    if bands == 1:
        return deviates[0][rows]
    return np.concatenate(deviates, axis=1)[rows]
