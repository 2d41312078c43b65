"""Scenes as PyAutoLens's Tracer, Grid2D and Convolver, and a Tracer as a scene."""

from typing import Any, NamedTuple

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.bridges.structure import Piece, scene_of
from lenssim.simulate.conventions import scaled
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.engines.autolens import grid, kernel, tracer
from lenssim.simulate.engines.autolens_terms import profile_from_autolens
from lenssim.simulate.engines.pyauto import al, pinned
from lenssim.simulate.instruments import Instrument, check_sampling
from lenssim.simulate.scenes import Scenes

__all__ = ["AutolensScene", "from_autolens", "to_autolens"]


class AutolensScene(NamedTuple):
    """One system as PyAutoLens takes it: `tracer, grid, psf = scenes.to_autolens(0, camera)`."""

    tracer: Any
    grid: Any
    psf: Any


def to_autolens(
    scenes: Scenes, i: int, instrument: Instrument, supersampling: int = 1
) -> AutolensScene:
    """System `i`: a Tracer of one profile each, the Grid2D of the stamp and the Convolver of its PSF.

    Intensities are in e-/s per camera pixel, deflections those that the source sees. A PSF sampled finer than the
    pixels needs over-sampling by the same factor. PyAutoLens's convolver fetches light from beyond the stamp, where
    lenssim continues or darkens its edge: images agree but for a margin of half the kernel.
    `ConfigError` for a profile with no counterpart, |e| above 0.999, and a source that is not behind the lens.
    """
    check_sampling(instrument, supersampling)
    fine = instrument.psf.supersampling
    if fine > 1 and supersampling != fine:
        raise ConfigError(
            f"PyAutoLens over-samples as finely as its PSF, here {fine}; give supersampling {fine}, got {supersampling}"
        )
    with pinned():
        weights = al.Array2D.no_mask(
            values=kernel(instrument), pixel_scales=instrument.pixel_scale / fine
        )
        return AutolensScene(
            tracer(scenes.take(slice(i, i + 1)), instrument),
            grid(instrument, supersampling),
            al.Convolver(kernel=weights, convolve_over_sample_size=fine),
        )


def from_autolens(
    tracer: Any, pixel_scale: float, *, z_source_convention: float | None = None
) -> Scenes:
    """The scene of a Tracer with one lens plane, whose intensities are per pixel of `pixel_scale` arcsec.

    Light at the redshift of the masses is lens light, light behind them the source. With `z_source_convention`
    deflections are stated for a source there. `ConfigError` for several lens or source planes, and for profiles that a
    scene cannot say.
    """
    members = [*tracer.galaxies, *tracer.fields]
    masses = [
        (float(each.redshift), name, profile)
        for each in members
        for name, profile in _own(each, al.mp.MassProfile)
    ]
    lights = [
        (float(each.redshift), name, profile)
        for each in members
        for name, profile in _own(each, al.LightProfile)
    ]
    z_lens, z_source = _planes([z for z, *_ in masses], [z for z, *_ in lights])
    redshifts = {"z_lens": z_lens, "z_source": z_source}
    flat = tracer.cosmology
    cosmology = Cosmology(
        H0=float(flat.H0), Om0=float(flat.Om0), Ob0=float(getattr(flat, "Ob0", 0.0))
    )
    factor = 1.0
    if z_source_convention is not None:
        redshifts["z_source_convention"] = z_source_convention
        factor = float(
            cosmology.deflection_scale(*(np.array([z]) for z in redshifts.values()))[0]
        )
    pieces = []
    for _, name, profile in masses:
        kind, values = profile_from_autolens(profile, pixel_scale)
        pieces.append(Piece("lens", kind, scaled(kind, values, 1 / factor), name))
    for z, name, profile in lights:
        kind, values = profile_from_autolens(profile, pixel_scale)
        pieces.append(
            Piece("source" if z == z_source else "lens_light", kind, values, name)
        )
    return scene_of(pieces, redshifts, cosmology)


def _own(galaxy: Any, type_: type) -> list[tuple[str, Any]]:
    return [
        (name, value) for name, value in vars(galaxy).items() if isinstance(value, type_)
    ]


def _planes(masses: list[float], lights: list[float]) -> tuple[float, float]:
    lens = sorted(set(masses))
    sources = sorted({z for z in lights if not masses or z > min(masses)})
    if len(lens) != 1:
        raise ConfigError(
            f"a scene has one lens plane; this Tracer has masses at redshifts {', '.join(map(str, lens)) or 'none'}. "
            f"PyAutoLens scales deflections between planes, which a scene cannot say: move the masses to one redshift"
        )
    if len(sources) != 1 or any(z < lens[0] for z in lights):
        raise ConfigError(
            f"a scene has lens light at the lens's redshift and one source plane behind it; this Tracer has light at "
            f"redshifts {', '.join(map(str, sorted(set(lights)))) or 'none'}, and masses at {lens[0]:g}"
        )
    return lens[0], sources[0]
