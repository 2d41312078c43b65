"""Refinement: a power law with shear and Sersic light, from the minima of the search."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import gammaincinv

from lenssim.errors import ConfigError
from lenssim.simulate.engines.batched.fit import SmoothFit
from lenssim.simulate.engines.batched.gradients import regular
from lenssim.simulate.fit.expected_noise import expected_noise
from lenssim.simulate.fit.lens_light import LIGHT, LIGHT_B
from lenssim.simulate.fit.minima import FINE_SOURCE, Minimum
from lenssim.simulate.fit.search import SearchResult
from lenssim.simulate.fit.tracing import SLOPE
from lenssim.simulate.instruments import Instrument, Supersampling
from lenssim.simulate.scenes import Component, Scenes
from lenssim.simulate.sources.sersic import unit_flux

__all__ = ["MAX_STEPS", "RAYS", "Refined", "refine", "refined_scenes"]

RAYS = 4  # a pixel side, of the derivatives that errors come from
MAX_STEPS = 80
_ROUNDS = 2  # of corrections
_MASS = Component("lens", "epl", "")
_SHEAR = Component("lens", "shear", "")
_SOURCE = Component("source", "sersic", "source_")
_LIGHT = Component("lens_light", "sersic", "lens_light_")
_RADII = np.geomspace(1e-3, 20, 4000)  # arcsec, of growth curves


@dataclass(frozen=True)
class Refined:
    """Smooth lenses at their minima.

    Attributes:
        columns: Names of the K parameters.
        values: Their values (N, K), about the middle of the image.
        residual: (image - model) / noise (N, H, W), 0 where masked.
        slopes: Derivatives of the model over sigma (N, K, P), at the minimum.
        scenes: The lenses as scenes.
        noise: The noise (N, H, W) that was used, infinite where masked.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    residual: np.ndarray
    slopes: np.ndarray
    scenes: Scenes
    noise: np.ndarray

    @property
    def left(self) -> np.ndarray:
        """What the model leaves of the images (N, H, W), 0 where masked."""
        noise = np.where(np.isfinite(self.noise), self.noise, 0.0)
        return self.residual * noise

    @property
    def chi2(self) -> np.ndarray:
        """The sums (N,) of the squared residuals."""
        return (self.residual**2).sum((1, 2))


def refine(
    images: np.ndarray,
    sigma: np.ndarray,
    start: Scenes,
    instrument: Instrument,
    *,
    precision: str = "float32",
    kernels: str = "compiled",
) -> Refined:
    """Fit smooth lenses to images, from starts near the minima.

    The rays of the model are adaptive: with 4 x 4 a pixel the index of a peaked source is off
    by 1 sigma. Adaptive rays make chi2 a little rough, which stops some fits early. So more
    rounds fit, with few rays, an image from which the difference of adaptive and few rays is
    taken away, as the round before found it (a defect correction). They also replace a
    noise map that was made from the image by that of the model, see `expected_noise`.

    Args:
        images: Images (N, H, W).
        sigma: Noise (N, H, W), infinite where a pixel is masked.
        start: N scenes, as of `refined_scenes`.
        instrument: The camera, whose stamp is the image.
        precision: "float32" or "float64".
        kernels: "compiled" or "eager".

    Returns:
        The minima of chi2 next to the starts. No lens depends on another.
    """
    adaptive: Supersampling = "adaptive"
    rays = regular(instrument, adaptive)
    fit_of = partial(
        SmoothFit, instrument=instrument, rays=rays, precision=precision, kernels=kernels
    )
    rows = np.arange(len(images))
    fit = fit_of(images[:, None], start, sigma=sigma[:, None], sampling=adaptive)
    for _ in range(_ROUNDS):
        values, _ = fit.minimum(MAX_STEPS)
        scenes, _ = fit.at(rows, values)[0]
        coarse = fit.engine.render(scenes, instrument, supersampling=rays)[:, 0]
        model = fit.engine.render(scenes, instrument, supersampling=adaptive)[:, 0]
        model = model.astype(np.float64)
        noise = expected_noise(images, sigma, model)
        corrected = images - (model - coarse)
        fit = fit_of(corrected[:, None], scenes, sigma=noise[:, None])
    values, residual = fit.minimum(MAX_STEPS)
    fit.rays = rays * -(-RAYS // rays)
    slopes = fit.slopes(rows, values)
    columns = tuple(name for name, _ in fit.columns)
    scenes, _ = fit.at(rows, values)[0]
    return Refined(columns, values, residual.reshape(images.shape), slopes, scenes, noise)


def refined_scenes(
    result: SearchResult,
    minimum: Minimum,
    redshifts: tuple[float, float] = (0.5, 1.5),
    params: dict[str, float] | None = None,
) -> Scenes:
    """Return a minimum of the search as a scene with Sersic light, about the image's middle.

    Args:
        result: What the search found.
        minimum: One of its minima.
        redshifts: Of lens and source; they do not change the image.
        params: Further columns, such as the one that tells the PSF.

    Raises:
        ConfigError: The minimum has no light at all.
    """
    values = minimum.values.numpy()
    shift_x, shift_y = result.prepared.offset
    # the search's pixels are mean brightness, a scene's are flux
    amplitudes = minimum.amplitudes.numpy() / result.prepared.observation.pixel_scale**2
    light_count = len(amplitudes) - 1 - len(FINE_SOURCE)
    columns = {
        "theta_E": values[0],
        "gamma": 2 + values[SLOPE],
        "e1": values[1],
        "e2": values[2],
        "center_x": values[3] + shift_x,
        "center_y": values[4] + shift_y,
        "gamma1": values[5],
        "gamma2": values[6],
        "z_lens": redshifts[0],
        "z_source": redshifts[1],
        **(params or {}),
    }
    # the search's shear acts about the lens, the scene's about (0, 0): the source moves
    gamma = np.array([[values[5], values[6]], [values[6], -values[5]]])
    move = gamma @ np.array([columns["center_x"], columns["center_y"]])
    columns["source_center_x"] = values[7] + shift_x - move[0]
    columns["source_center_y"] = values[8] + shift_y - move[1]
    columns["source_e1"] = values[9]
    columns["source_e2"] = values[10]
    source = amplitudes[light_count + 1 :]
    columns |= _sersic("source_", source, np.array(FINE_SOURCE))
    components = [_MASS, _SHEAR, _SOURCE]
    if light_count:
        light = amplitudes[:light_count]
        columns |= _sersic("lens_light_", light, np.array(LIGHT + LIGHT_B))
        columns["lens_light_center_x"] = values[11] + shift_x
        columns["lens_light_center_y"] = values[12] + shift_y
        columns["lens_light_e1"], columns["lens_light_e2"] = _mean_shape(values, light)
        components.append(_LIGHT)
    table = {name: np.array([float(value)]) for name, value in columns.items()}
    return Scenes(tuple(components), table)


def _mean_shape(values: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return e1 and e2 of the lens light, weighted by flux."""
    first = light[: len(LIGHT)].sum()
    second = light[len(LIGHT) :].sum()
    total = max(first + second, 1e-30)
    return (values[13:15] * first + values[15:17] * second) / total


def _sersic(prefix: str, amplitudes: np.ndarray, sigmas: np.ndarray) -> dict[str, float]:
    """Return the Sersic profile with the growth curve of Gaussians.

    Radii that hold 20, 50 and 80 per cent of the light give R_sersic and n_sersic. The
    brightness of a Gaussian is a exp(-R^2 / 2 s^2) / s^2, so its flux is 2 pi a.
    """
    weights = np.maximum(amplitudes, 0)
    if weights.sum() <= 0:
        raise ConfigError(
            "the search found a lens or a source without any light", code="no-light"
        )
    growth = weights @ (1 - np.exp(-(_RADII**2) / (2 * sigmas[:, None] ** 2)))
    growth /= weights.sum()
    r20, r50, r80 = np.interp([0.2, 0.5, 0.8], growth, _RADII)
    n_sersic = _index_of(r80 / r20)
    r_sersic = float(np.clip(r50, 0.01, 10))
    flux = 2 * np.pi * weights.sum()
    unit = unit_flux(np.array([r_sersic]), np.array([n_sersic]))[0]
    return {
        f"{prefix}R_sersic": r_sersic,
        f"{prefix}n_sersic": n_sersic,
        f"{prefix}amp": float(flux / unit),
    }


def _index_of(ratio: float) -> float:
    """Return the Sersic index whose radii of 80 and 20 per cent have a ratio."""
    indices = np.linspace(0.5, 5, 10)
    ratios = [_radii_ratio(index) for index in indices]
    return float(np.interp(ratio, ratios, indices))


def _radii_ratio(index: float) -> float:
    return float((gammaincinv(2 * index, 0.8) / gammaincinv(2 * index, 0.2)) ** index)
