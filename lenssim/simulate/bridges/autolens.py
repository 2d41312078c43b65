"""Scenes as PyAutoLens's Tracer, Grid2D and Convolver, and a Tracer as a scene."""

from typing import Any, NamedTuple

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.bridges.assembly import ProfileEntry, assemble_scene
from lenssim.simulate.conventions import scaled
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.engines.autolens import grid, kernel, tracer
from lenssim.simulate.engines.autolens_terms import profile_from_autolens
from lenssim.simulate.engines.pyauto import al, pinned
from lenssim.simulate.instruments import Instrument, check_sampling, one_band
from lenssim.simulate.scenes import Role, Scenes

__all__ = ["AutolensScene", "from_autolens", "to_autolens"]


class AutolensScene(NamedTuple):
    """One system as PyAutoLens takes it: `tracer, grid, psf = to_autolens(scenes, 0, camera)`."""

    tracer: Any
    grid: Any
    psf: Any


def to_autolens(
    scenes: Scenes, i: int, instrument: Instrument, supersampling: int = 1
) -> AutolensScene:
    """Return system `i` as a Tracer of one profile each, a Grid2D and a Convolver.

    Intensities are in e-/s per camera pixel; deflections are those that the source sees. A PSF
    sampled finer than the pixels needs over-sampling by the same factor. PyAutoLens's convolver
    takes light from beyond the stamp, where lenssim continues or darkens its edge. So images
    agree except for a margin of half the kernel.

    Args:
        scenes: The scene table.
        i: Row of the system.
        instrument: The camera, of one band.
        supersampling: Rays a side of a pixel.

    Raises:
        ConfigError: A profile has no counterpart, |e| is above 0.999, or a source is not behind
            the lens.
    """
    instrument = one_band(instrument, "a Tracer's image has")
    check_sampling(instrument, supersampling)
    instrument = instrument.of_image(scenes.params, i)
    fine = instrument.psf.supersampling
    if fine > 1 and supersampling != fine:
        raise ConfigError(
            f"PyAutoLens over-samples as finely as its PSF, here {fine}; give supersampling "
            f"{fine}, got {supersampling}",
            code="psf-sampling",
            fine=fine,
            supersampling=supersampling,
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
    """Return the scene of a Tracer with one lens plane.

    Light at the redshift of the masses is lens light, light behind them the source.

    Args:
        tracer: The Tracer.
        pixel_scale: Side of the pixels that intensities refer to [arcsec].
        z_source_convention: Redshift of the source that deflections are to be stated for.

    Raises:
        ConfigError: There are several lens or source planes, or profiles without counterpart.
    """
    masses = _profiles_of(tracer, al.mp.MassProfile)
    lights = _profiles_of(tracer, al.LightProfile)
    z_lens, z_source = _planes([z for z, *_ in masses], [z for z, *_ in lights])
    redshifts = {"z_lens": z_lens, "z_source": z_source}
    cosmology = _cosmology(tracer.cosmology)
    factor = 1.0
    if z_source_convention is not None:
        redshifts["z_source_convention"] = z_source_convention
        planes = (np.array([z]) for z in redshifts.values())
        factor = float(cosmology.deflection_scale(*planes)[0])
    entries = []
    for _, name, profile in masses:
        kind, values = profile_from_autolens(profile, pixel_scale)
        entries.append(ProfileEntry("lens", kind, scaled(kind, values, 1 / factor), name))
    for z, name, profile in lights:
        kind, values = profile_from_autolens(profile, pixel_scale)
        role: Role = "source"
        if z != z_source:
            role = "lens_light"
        entries.append(ProfileEntry(role, kind, values, name))
    return assemble_scene(entries, redshifts, cosmology)


def _cosmology(flat: Any) -> Cosmology:
    baryons = float(getattr(flat, "Ob0", 0.0))
    return Cosmology(H0=float(flat.H0), Om0=float(flat.Om0), Ob0=baryons)


def _profiles_of(tracer: Any, type_: type) -> list[tuple[float, str, Any]]:
    """Return redshift, name and profile of all profiles of a type."""
    profiles = []
    for galaxy in (*tracer.galaxies, *tracer.fields):
        for name, value in vars(galaxy).items():
            if isinstance(value, type_):
                profiles.append((float(galaxy.redshift), name, value))
    return profiles


def _planes(masses: list[float], lights: list[float]) -> tuple[float, float]:
    """Return the redshifts of the lens and of the source."""
    lens = sorted(set(masses))
    sources = sorted({z for z in lights if not masses or z > min(masses)})
    if len(lens) != 1:
        raise ConfigError(
            "a scene has one lens plane; this Tracer has masses at redshifts "
            f"{', '.join(map(str, lens)) or 'none'}. PyAutoLens scales deflections between "
            "planes, which a scene cannot say: move the masses to one redshift",
            code="lens-planes",
        )
    if len(sources) != 1 or any(z < lens[0] for z in lights):
        raise ConfigError(
            "a scene has lens light at the lens's redshift and one source plane behind it; this "
            f"Tracer has light at redshifts {', '.join(map(str, sorted(set(lights)))) or 'none'}, "
            f"and masses at {lens[0]:g}",
            code="lens-planes",
        )
    return lens[0], sources[0]
