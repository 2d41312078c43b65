"""What the best smooth lens leaves of simulated images, where the fit is not told the truth."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lenssim.errors import ConfigError, DataError
from lenssim.simulate.bands import BandView, band_views
from lenssim.simulate.engines.batched.fit import SmoothFit
from lenssim.simulate.engines.batched.gradients import regular
from lenssim.simulate.engines.batched.steps import SCENES
from lenssim.simulate.fit.bands import with_band_amplitudes
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.preparation import binned_psf, prepare
from lenssim.simulate.fit.refinement import MAX_STEPS, refined_scenes
from lenssim.simulate.fit.search import search
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.instruments import AnyCamera, Supersampling
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.psf.choice import PSF_COLUMNS
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["searched_residual", "smooth_family"]

_MASSES = ("epl", "sie", "shear")  # which a search can start
_SOURCE = Component("source", "sersic", "source_")
_LIGHT = Component("lens_light", "sersic", "lens_light_")
_REDSHIFTS = ("z_lens", "z_source")
_CAMERA_COLUMNS = (*PSF_COLUMNS, "exposure_time")  # of each band, with its name behind


def searched_residual(
    images: np.ndarray,
    scenes: Scenes,
    instrument: AnyCamera,
    *,
    mask: np.ndarray | None = None,
    supersampling: Supersampling = 1,
    precision: str = "float32",
    kernels: str = "compiled",
) -> np.ndarray:
    """Return the residuals of the best lens that a search finds, in sigma.

    The fit knows the camera, the noise and the family (`smooth_family`), as on the sky. It does
    not know the parameters. The search takes the band with the most signal, and the last fit all
    bands together. Pixels that are masked are 0. Where the search finds no light, the model is
    empty.

    Args:
        images: Observed images (N, C, H, W) [e-/s per pixel].
        scenes: Their N scenes, of which redshifts, PSF and exposure are read.
        instrument: The camera.
        mask: Where (N, C, H, W) pixels are usable; None: wherever they are finite.
        supersampling: Rays a side of a pixel, or "adaptive": see `smooth_residual`.
        precision: "float32" or "float64".
        kernels: "compiled" or "eager".

    Returns:
        (observed - model) / sigma, float32 (N, C, H, W).
    """
    usable = np.isfinite(images)
    if mask is not None:
        usable &= mask
    observed = np.where(usable, images, 0.0)
    sigma = noise_sigma(observed.astype(np.float64), scenes, instrument)
    sigma = np.where(usable, sigma, np.inf)
    rays = regular(instrument, supersampling)
    residuals = (observed / sigma).astype(np.float32)
    for start in range(0, len(scenes), SCENES):
        part = slice(start, start + SCENES)
        starts = _starts(observed[part], sigma[part], scenes.take(part), instrument)
        lit = [row for row, scene in enumerate(starts) if scene is not None]
        if not lit:
            continue
        fit = SmoothFit(
            observed[part][lit],
            Scenes.concatenate([scene for scene in starts if scene is not None]),
            instrument,
            rays,
            precision,
            kernels,
            sigma[part][lit],
        )
        _, residual = with_band_amplitudes(fit).minimum(MAX_STEPS)
        rows = start + np.array(lit)
        residuals[rows] = residual.reshape(residuals[rows].shape)
    return residuals


def smooth_family(components: Sequence[Component]) -> tuple[Component, ...]:
    """Return the components that a search fits to scenes.

    The mass has the profiles of the scenes' lens, or else a power law with shear. The source
    is one Sersic profile, and so is the lens light, where lenses shine.

    Args:
        components: The components of the scenes.

    Example:
        >>> family = smooth_family([Component("lens", "sie"), Component("source", "sersic")])
        >>> [component.profile for component in family]
        ['sie', 'sersic']
    """
    lens = [component for component in components if component.role == "lens"]
    family = [Component("lens", profile) for profile in ("epl", "shear")]
    profiles = [component.profile for component in lens]
    is_known = all(profile in _MASSES for profile in profiles)
    if is_known and len(set(profiles)) == len(profiles) and set(profiles) - {"shear"}:
        family = [Component("lens", profile) for profile in profiles]
    family.append(_SOURCE)
    if any(component.role == "lens_light" for component in components):
        family.append(_LIGHT)
    return tuple(family)


def _starts(
    images: np.ndarray, sigma: np.ndarray, scenes: Scenes, camera: AnyCamera
) -> list[Scenes | None]:
    """Return the best minimum of each image as a scene of the family; None without light."""
    views = band_views(scenes, camera)
    family = smooth_family(scenes.components)
    return [
        _start(images[row], sigma[row], views, row, family) for row in range(len(scenes))
    ]


def _start(
    image: np.ndarray,
    sigma: np.ndarray,
    views: Sequence[BandView],
    row: int,
    family: tuple[Component, ...],
) -> Scenes | None:
    """Return the best minimum of one image (C, H, W) as a scene of the family."""
    signal = (np.maximum(image / sigma, 0) ** 2).sum((1, 2))
    band = int(np.argmax(signal))
    scenes, instrument = views[band]
    psf = instrument.of_image(scenes.params, row).psf
    kernel = binned_psf(psf.kernel_at(instrument.pixel_scale), psf.supersampling)
    try:
        observation = Observation.of(
            str(row), image[band], sigma[band], kernel, instrument.pixel_scale
        )
    except DataError:  # too few pixels were seen
        return None
    settings = Search(has_light=_LIGHT in family)
    prepared = prepare(observation, has_light=settings.has_light)
    result = search([prepared], settings)[0]
    scenes_of_camera, _ = views[0]
    columns = {
        name: float(column[row])
        for name, column in scenes_of_camera.params.items()
        if name in _REDSHIFTS or name.startswith(_CAMERA_COLUMNS)
    }
    try:
        start = refined_scenes(result, result.best, params=columns)
    except ConfigError:  # there is no light
        return None
    return replace(start, components=family, cosmology=scenes.cosmology)
