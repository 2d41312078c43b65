"""Arcs: the light of the sources alone, and how well it shows."""

import numpy as np

from lenssim.simulate.bands import band_views
from lenssim.simulate.dark_sources import DARK
from lenssim.simulate.engines import Engine
from lenssim.simulate.instruments import AnyCamera, Supersampling
from lenssim.simulate.scenes import Scenes

__all__ = ["arc_columns", "render_arcs", "sources_alone"]

_SIDES = (1, 2)


def sources_alone(scenes: Scenes) -> Scenes:
    """Return the scenes without the light of lenses and their neighbours."""
    components = tuple(part for part in scenes.components if part.role != "lens_light")
    copy = scenes.take(slice(None))
    return Scenes(
        components, copy.params, copy.perturbers, copy.cosmology, copy.units, copy.images
    )


def render_arcs(
    engine: Engine, scenes: Scenes, camera: AnyCamera, supersampling: Supersampling
) -> np.ndarray:
    """Return expected images (N, bands, H, W) of the lensed sources alone.

    Args:
        engine: What renders.
        scenes: N scenes. Those with dark sources have images of zeros.
        camera: The camera.
        supersampling: Rays a pixel side, or "adaptive".
    """
    lit = np.flatnonzero(_lit(scenes))
    size = camera.num_pix
    images = np.zeros((len(scenes), len(camera.instruments), size, size), np.float32)
    if len(lit):
        part = sources_alone(scenes.take(lit))
        images[lit] = engine.render(part, camera, supersampling=supersampling)
    return images


def _lit(scenes: Scenes) -> np.ndarray:
    """Return whether a part of the source shines, (N,)."""
    lit = np.zeros(len(scenes), bool)
    for component in scenes.components:
        if component.role != "source":
            continue
        magnitude = scenes.params.get(f"{component.prefix}magnitude")
        if magnitude is not None:
            lit |= magnitude < DARK["magnitude"]
        else:
            lit |= scenes.params[f"{component.prefix}amp"] > DARK["amp"]
    return lit


def arc_columns(
    arcs: np.ndarray, expected: np.ndarray, scenes: Scenes, camera: AnyCamera
) -> dict[str, np.ndarray]:
    """Return how well arcs show, in the first band; all is 0 without a source.

    Args:
        arcs: Images (N, C, H, W) of the sources alone, without noise.
        expected: Images (N, C, H, W) of all light, without noise.
        scenes: The N scenes.
        camera: The camera.

    Returns:
        Columns (N,). `npix` counts the pixels of the arcs above one sigma of the background,
        `flux` is the light of these in sigma, `contrast` the arcs' share of all light in the stamp.
        `magnification` is their light over that of the sources, where the draw put none.
    """
    view, instrument = band_views(scenes, camera)[0]
    background = instrument.background(scenes.params.get("exposure_time"))
    sigma = np.broadcast_to(np.asarray(background, np.float64), len(scenes))
    arc = arcs[:, 0].astype(np.float64)
    light = arc.sum(_SIDES)
    total = expected[:, 0].astype(np.float64).sum(_SIDES)
    shown = arc > sigma[:, None, None]
    columns = {
        "npix": shown.sum(_SIDES).astype(np.float64),
        "flux": (arc * shown).sum(_SIDES) / np.where(sigma > 0, sigma, 1.0),
        "contrast": light / np.where(total > 0, total, 1.0),
    }
    if "magnification" not in scenes.params:
        columns["magnification"] = light / _source_flux(view, instrument.zero_point)
    return columns


def _source_flux(scenes: Scenes, zero_point: float | None) -> np.ndarray:
    """Return the light (N,) [e-/s] of the sources before magnification."""
    flux = np.zeros(len(scenes))
    for component in scenes.components:
        if component.role != "source":
            continue
        values = scenes.of(component, zero_point)
        flux += values["amp"] * scenes.unit_flux(component, values)
    return np.where(flux > 0, flux, 1.0)
