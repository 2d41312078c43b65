"""The noise of DeepLenseSim's published Model I, which counts its shot noise twice."""

from typing import override

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.noise.model import NoiseIdentity, NoiseModel
from lenssim.simulate.noise.variance import camera_columns
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.streams import blocks, noise_generator

__all__ = ["PublishedNoise"]

MAX_COUNTS = 1e18  # numpy's Poisson numbers end at 9.2e18


class PublishedNoise(NoiseModel):
    """Counts in e-: Poisson(max(M, 0)) of M = T (image + shot noise + background).

    The shot noise and the background in M are Gaussian, of the variances |I| / T and b^2.
    Poisson noise then adds the shot noise once more. Source: DeepLenseSim, Model I.
    A Poisson draw takes as many random numbers as it needs, so each sample has a generator.
    """

    name = "published"
    unit = "e-"

    @override
    def mean(
        self, expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
    ) -> np.ndarray:
        return _rate_moments(expected, scenes, instrument)[0]

    @override
    def sigma(
        self, expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
    ) -> np.ndarray:
        """Return the standard deviation of the counts.

        The variance of a Poisson number of a random rate R is E[R] + Var[R].
        """
        rate, square = _rate_moments(expected, scenes, instrument)
        return np.sqrt(rate + np.maximum(square - rate**2, 0))

    @override
    def sample(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
        identity: NoiseIdentity,
    ) -> np.ndarray:
        exposure_time = scenes.params.get("exposure_time")
        total, background = camera_columns(instrument, exposure_time, len(scenes))
        counts = np.empty(expected.shape, np.float64)
        for block, positions, rows in blocks(identity.numbers):
            for position, row in zip(positions, rows, strict=True):
                for band, flux in enumerate(expected[position].astype(np.float64)):
                    # a stream a sample: the length of a Poisson draw depends on the image
                    rng = noise_generator(
                        identity.seed, identity.split, block, band, int(row)
                    )
                    camera = (total[position, band], background[position, band])
                    mean = _rate(flux, *camera, rng)
                    _check_counts(mean, int(identity.numbers[position]))
                    counts[position, band] = rng.poisson(mean)
        return counts


def _rate(
    flux: np.ndarray, total: np.ndarray, background: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw the rate (H, W) in e- that the Poisson numbers of a band are drawn from."""
    shot = rng.standard_normal(flux.shape) * np.sqrt(np.abs(flux) / total)
    sky = rng.standard_normal(flux.shape) * background
    return np.maximum(total * (flux + shot + sky), 0)


def _rate_moments(
    expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
) -> tuple[np.ndarray, np.ndarray]:
    """Return E[R] and E[R^2] of the rate R, a Gaussian number without its negative side."""
    from scipy.special import ndtr

    exposure_time = scenes.params.get("exposure_time")
    total, background = camera_columns(instrument, exposure_time, len(scenes))
    mean = total * expected
    spread = total * np.sqrt(np.abs(expected) / total + background**2)
    ratio = mean / np.maximum(spread, np.finfo(float).tiny)
    density = spread * np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
    positive = ndtr(ratio)
    rate = mean * positive + density
    return rate, (mean**2 + spread**2) * positive + mean * density


def _check_counts(mean: np.ndarray, number: int) -> None:
    """Refuse rates that Poisson numbers cannot count."""
    if mean.max() > MAX_COUNTS:
        raise ConfigError(
            f"sample {number}: {mean.max():.2g} e- in a pixel are more than Poisson "
            "noise can count; give a fainter source, a shorter exposure_time, "
            "or --noise nominal",
            code="too-bright",
            number=number,
        )
