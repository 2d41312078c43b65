"""The nominal noise of a CCD: Gaussian, of the background and of the light."""

from typing import override

import numpy as np

from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.noise.deviates import NEWEST, ccd_noise, normal_deviates
from lenssim.simulate.noise.model import NoiseIdentity, NoiseModel
from lenssim.simulate.noise.variance import camera_columns, noise_sigma, pixel_variance
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.streams import blocks

__all__ = ["NominalNoise"]


class NominalNoise(NoiseModel):
    """Gaussian noise, independent in each pixel, of the variance of `pixel_variance`."""

    name = "nominal"
    has_streams = True

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
        identity: NoiseIdentity,
    ) -> np.ndarray:
        exposure_time = scenes.params.get("exposure_time")
        total, background = camera_columns(
            instrument, exposure_time, len(scenes), expected.dtype
        )
        if identity.stream == NEWEST:
            fused = ccd_noise(
                expected,
                total,
                background**2,
                identity.numbers,
                seed=identity.seed,
                split=identity.split,
            )
            if fused is not None:
                return fused
        noisy = np.empty_like(expected)
        # block by block, so that nothing leaves the cache
        for _, positions, _ in blocks(identity.numbers):
            flux = expected[positions]
            deviates = normal_deviates(
                identity.stream,
                identity.numbers[positions],
                flux.shape[1:],
                seed=identity.seed,
                split=identity.split,
            )
            variance = pixel_variance(flux, background[positions] ** 2, total[positions])
            noisy[positions] = flux + deviates * np.sqrt(variance, out=variance)
        return noisy
