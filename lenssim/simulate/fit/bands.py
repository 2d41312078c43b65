"""Bands of one fit: the same lens and shapes in all, an amplitude of each light in every band."""

from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from lenssim.simulate.bands import BandView
from lenssim.simulate.engines.batched.fit import SmoothFit
from lenssim.simulate.scenes import Component

__all__ = ["with_band_amplitudes"]

_FAINTEST = 1e-3  # of the start's amplitude: light of no flux would have no slopes


def with_band_amplitudes(fit: SmoothFit) -> SmoothFit:
    """Return a fit whose light starts with the best amplitudes in every band.

    A search knows one band. In the others shapes are the same, so amplitudes follow from
    linear least squares and are not negative. A fit of one band is returned as it is.

    Args:
        fit: A fit whose scenes have the amplitudes of one band in all of them.
    """
    if len(fit.views) == 1:
        return fit
    pixels = fit.sigma.shape[1] // len(fit.views)
    for band, view in enumerate(fit.views):
        part = slice(band * pixels, (band + 1) * pixels)
        fit.views[band] = _scaled(fit, view, 1 / fit.sigma[:, part], fit.observed[:, part])
    return fit


def _scaled(
    fit: SmoothFit, view: BandView, weights: np.ndarray, observed: np.ndarray
) -> BandView:
    """Return a view with the amplitudes that fit its images (N, P), which are in sigma."""
    scenes, instrument = view
    lights = [part for part in scenes.components if part.role != "lens"]
    templates = np.stack(
        [_rendered(fit, view, light) * weights for light in lights], axis=2
    )
    params = dict(scenes.params)
    factors = np.stack(
        [nnls(matrix, row)[0] for matrix, row in zip(templates, observed, strict=True)]
    )
    for light, factor in zip(lights, factors.T, strict=True):
        name = light.prefix + "amp"
        params[name] = params[name] * np.maximum(factor, _FAINTEST)
    return replace(scenes, params=params), instrument


def _rendered(fit: SmoothFit, view: BandView, light: Component) -> np.ndarray:
    """Return the images (N, P) of one light, lensed if it is a source."""
    scenes, instrument = view
    lens = tuple(part for part in scenes.components if part.role == "lens")
    scene_of_light = replace(scenes, components=(*lens, light))
    images = fit.engine.render(scene_of_light, instrument, supersampling=fit.rays)
    return images.reshape(len(images), -1).astype(np.float64)
