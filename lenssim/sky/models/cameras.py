"""Cameras: that of a simulation, or what is known of one from a real image."""

import numpy as np

from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.instruments import Instrument, PixelPSF

__all__ = ["camera_of_observation"]


def camera_of_observation(observation: Observation) -> Instrument:
    """Return a camera with the pixels, the noise and the PSF of an image.

    Args:
        observation: A square image and its companions.
    """
    sigma = 1.0
    if observation.mask.any():
        sigma = float(np.median(observation.sigma[observation.mask]))
    return Instrument(
        name=observation.name,
        num_pix=len(observation.image),
        pixel_scale=observation.pixel_scale,
        exposure_time=1,
        background_rms=sigma,
        psf=PixelPSF(kernel=_rows(observation.psf)),
    )


def _rows(psf: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return a PSF as rows of numbers that are not negative and sum to 1."""
    kernel = np.maximum(psf, 0)
    kernel = kernel / kernel.sum()
    return tuple(tuple(row) for row in kernel.tolist())
