"""Observation over a real background: its noise, and the shot noise of lens and source alone."""

from collections.abc import Callable

import numpy as np

from lenssim.simulate.backgrounds.background import Background
from lenssim.simulate.instruments import AnyCamera, Instrument
from lenssim.simulate.noise import noise_model
from lenssim.simulate.scenes import Scenes

__all__ = ["over_background", "sigma_over_background", "without_sky"]

NO_NOISE = "none"  # images without noise have no sky either


def without_sky(camera: AnyCamera) -> AnyCamera:
    """Return a camera that adds no noise of sky and detector, and loses no pixels.

    Light alone has noise then.

    Example:
        >>> from lenssim.simulate.instruments import instrument
        >>> without_sky(instrument("euclid_vis")).background()
        array(0.)
    """
    dark: dict[str, object] = {
        "background_rms": 0.0,
        "sky_brightness": None,
        "read_noise": 0.0,
        "cosmic_rays": None,
        "dead_pixels": 0.0,
        "saturation": None,
    }
    if isinstance(camera, Instrument):
        return camera.model_copy(update=dark)
    bands = {name: band.model_copy(update=dark) for name, band in camera.bands.items()}
    return camera.model_copy(update={"bands": bands})


def over_background(
    background: Background | None,
    scenes: Scenes,
    camera: AnyCamera,
    noise: str,
    observe: Callable[[AnyCamera], np.ndarray],
) -> np.ndarray:
    """Return observed images, over real sky where there is a background.

    Args:
        background: The cut-outs; None for the camera's own noise.
        scenes: The N scenes.
        camera: The camera.
        noise: Name of the kind of noise.
        observe: Function of a camera that returns observed images (N, C, H, W).
    """
    if background is None or noise == NO_NOISE:
        return observe(camera)
    sky, _ = background.stamps(scenes.params, camera)
    return (observe(without_sky(camera)) + sky).astype(np.float32)


def sigma_over_background(
    background: Background | None,
    expected: np.ndarray,
    scenes: Scenes,
    camera: AnyCamera,
    noise: str,
) -> np.ndarray:
    """Return the standard deviation of observed images (N, C, H, W).

    Over a background its noise map counts, and the shot noise of lens and source. Arguments
    as `over_background` and `NoiseModel.sigma`.
    """
    model = noise_model(noise)
    if background is None or noise == NO_NOISE:
        return model.sigma(expected, scenes, camera)
    _, sigma = background.stamps(scenes.params, camera)
    shot = model.sigma(expected, scenes, without_sky(camera))
    return np.sqrt(shot**2 + sigma**2).astype(expected.dtype)
