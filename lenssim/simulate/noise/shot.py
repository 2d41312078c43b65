"""The layer of shot noise: the light's own, Gaussian or Poisson."""

import numpy as np

from lenssim.errors import ConfigError

__all__ = ["gaussian_shot", "poisson_shot"]

MAX_COUNTS = 1e18  # numpy's Poisson numbers end at 9.2e18


def gaussian_shot(
    flux: np.ndarray, exposure: np.ndarray, deviates: np.ndarray
) -> np.ndarray:
    """Return Gaussian shot noise, of variance max(I, 0) / T.

    Args:
        flux: Expected flux I in e-/s.
        exposure: Exposure time T in s, to be broadcast against it.
        deviates: Normal deviates of its shape.

    Returns:
        Noise in e-/s, of the shape of `flux`.
    """
    variance = flux.clip(min=0)
    variance /= exposure
    np.sqrt(variance, out=variance)
    variance *= deviates
    return variance


def poisson_shot(flux: np.ndarray, exposure: float, rng: np.random.Generator) -> np.ndarray:
    """Return Poisson shot noise, the counts of max(I, 0) T electrons less their mean.

    Args:
        flux: Expected flux I in e-/s. Where it is negative there is no shot noise.
        exposure: Exposure time T in s.
        rng: Generator of random numbers.

    Returns:
        Noise in e-/s, float64, of the shape of `flux`.

    Raises:
        ConfigError: There are more electrons than can be counted.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> poisson_shot(np.array([0.0, -3.0]), 100.0, rng)
        array([0., 0.])
    """
    mean = flux.clip(min=0).astype(np.float64) * exposure
    if mean.size and mean.max() > MAX_COUNTS:
        raise ConfigError(
            f"{mean.max():.2g} e- in a pixel are more than Poisson noise can count; give a "
            "fainter source, a shorter exposure_time, or shot_noise: gaussian",
            code="too-bright",
        )
    return (rng.poisson(mean) - mean) / exposure
