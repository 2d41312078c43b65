"""The variance of a CCD's noise: what every kind of noise and every engine asks for."""

from typing import Any

import numpy as np

from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.scenes import Scenes

__all__ = ["camera_columns", "noise_sigma", "noise_variance", "pixel_variance"]


def pixel_variance(flux: Any, background: Any, exposure: Any) -> Any:
    """Return the variance of pixels, sigma^2 = b^2 + max(I, 0) / T.

    The first term is the background, the second the Poisson noise of the light. A negative
    flux carries no Poisson noise. It is lenstronomy's `noise_for_model`.

    Args:
        flux: Expected flux I in e-/s, a numpy array or a torch tensor.
        background: Variance b^2 of the background in (e-/s)^2, to be broadcast against it.
        exposure: Exposure time T in s, to be broadcast against it.

    Returns:
        The variance in (e-/s)^2, of the shape, type and library of `flux`.

    Example:
        >>> pixel_variance(np.array([-1.0, 8.0]), 0.25, 2.0)
        array([0.25, 4.25])
    """
    variance = flux.clip(min=0)
    variance /= exposure
    variance += background
    return variance


def camera_columns(
    camera: AnyCamera,
    exposure_time: np.ndarray | None,
    count: int,
    dtype: np.dtype | type = np.float64,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the noise of `count` images depends on besides their light.

    Args:
        camera: The camera.
        exposure_time: Single exposures (N,) in s that were drawn for the scenes; None for
            those of the camera's bands.
        count: The number N of images.
        dtype: Type of the answer.

    Returns:
        The total exposure in s and the background's rms in e-/s, both (N, C, 1, 1).
    """
    totals = []
    backgrounds = []
    for band in camera.instruments:
        totals.append(np.broadcast_to(band.total_exposure(exposure_time), count))
        backgrounds.append(np.broadcast_to(band.background(exposure_time), count))
    return _over_pixels(totals, dtype), _over_pixels(backgrounds, dtype)


def _over_pixels(columns: list[np.ndarray], dtype: np.dtype | type) -> np.ndarray:
    """Give a column (N,) of each band the axes of images."""
    return np.stack(columns, axis=1).astype(dtype)[:, :, None, None]


def noise_variance(
    expected: np.ndarray, camera: AnyCamera, exposure_time: np.ndarray | None = None
) -> np.ndarray:
    """Return the variance of the nominal noise, see `pixel_variance`.

    Args:
        expected: Images (N, C, H, W) in e-/s.
        camera: The camera.
        exposure_time: Single exposures (N,) in s, if they were drawn.

    Returns:
        The variance in (e-/s)^2, of the shape and type of `expected`.
    """
    total, background = camera_columns(camera, exposure_time, len(expected), expected.dtype)
    return pixel_variance(expected, background**2, total)


def noise_sigma(expected: np.ndarray, scenes: Scenes, camera: AnyCamera) -> np.ndarray:
    """Return the rms of the nominal noise, e-/s per pixel.

    Args:
        expected: Images (N, C, H, W) in e-/s.
        scenes: The scenes that they show; their exposure time counts where one was drawn.
        camera: The camera.

    Returns:
        The rms, of the shape and type of `expected`.
    """
    variance = noise_variance(expected, camera, scenes.params.get("exposure_time"))
    return np.sqrt(variance, out=variance)
