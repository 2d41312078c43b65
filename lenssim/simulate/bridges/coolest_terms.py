"""Profiles, instruments and observations in COOLEST's terms, and profiles back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate import conventions as c
from lenssim.simulate.cosmology import Cosmology, critical_surface_density
from lenssim.simulate.instruments import GaussianPSF, Instrument

__all__ = [
    "PARAMETERS",
    "PROFILES",
    "TYPES",
    "critical_density",
    "instrument_document",
    "observation_document",
    "parameters_of",
    "values_of",
]

TYPES = {
    "sie": "SIE",
    "epl": "PEMD",
    "shear": "ExternalShear",
    "sheet": "ConvergenceSheet",
    "nfw": "NFW",
    "sersic": "Sersic",
}
PROFILES = {coolest: name for name, coolest in TYPES.items()}
PARAMETERS = {
    "SIE": ("theta_E", "q", "phi", "center_x", "center_y"),
    "PEMD": ("gamma", "theta_E", "q", "phi", "center_x", "center_y"),
    "ExternalShear": ("gamma_ext", "phi_ext"),
    "ConvergenceSheet": ("kappa_s",),
    "NFW": ("r_s", "rho_c", "q", "phi", "center_x", "center_y"),
    "Sersic": ("I_eff", "theta_eff", "n", "q", "phi", "center_x", "center_y"),
}


def critical_density(cosmology: Cosmology, z_lens: float, z_source: float) -> float:
    """Return the critical surface density [Msun/arcsec^2]."""
    at_lens = np.array([z_lens])
    at_source = np.array([z_source])
    per_kpc2 = critical_surface_density(cosmology, at_lens, at_source)
    return float((per_kpc2 * cosmology.kpc_per_arcsec(at_lens) ** 2)[0])


def parameters_of(
    profile: str, v: Mapping[str, float], pixel: float, critical: float
) -> dict[str, float]:
    """Return COOLEST's parameters of a mass or light profile.

    Args:
        profile: lenssim's name of the profile.
        v: Its parameters in lenssim.
        pixel: Side of a pixel [arcsec].
        critical: Critical surface density [Msun/arcsec^2].
    """
    if profile == "shear":
        gamma_ext, phi_ext = c.shear_to_coolest(v["gamma1"], v["gamma2"])
        return {"gamma_ext": gamma_ext, "phi_ext": phi_ext}
    if profile == "sheet":
        return {"kappa_s": v["kappa"]}
    shape = _shape_to_coolest(v)
    if profile == "nfw":
        rho_c = c.nfw_density_to_coolest(v["alpha_Rs"], v["Rs"], critical)
        return {"r_s": v["Rs"], "rho_c": rho_c, **shape}
    if profile == "sersic":
        amp = c.intensity_to_autolens(v["amp"], pixel)
        return {"I_eff": amp, "theta_eff": v["R_sersic"], "n": v["n_sersic"], **shape}
    if profile == "epl":
        return {"gamma": v["gamma"], "theta_E": v["theta_E"], **shape}
    return {"theta_E": v["theta_E"], **shape}


def _shape_to_coolest(v: Mapping[str, float]) -> dict[str, float]:
    e1 = v.get("e1", 0.0)
    e2 = v.get("e2", 0.0)
    return {
        "q": c.axis_ratio(e1, e2),
        "phi": c.angle_to_coolest(c.position_angle(e1, e2)),
        "center_x": v["center_x"],
        "center_y": v["center_y"],
    }


def values_of(
    profile: str, p: Mapping[str, float], pixel: float, critical: float
) -> dict[str, float]:
    """Return lenssim's parameters of a mass or light profile.

    Args:
        profile: lenssim's name of the profile.
        p: Its parameters in COOLEST.
        pixel: Side of a pixel [arcsec].
        critical: Critical surface density [Msun/arcsec^2].

    Raises:
        ConfigError: An NFW halo is elliptical.
    """
    if profile == "shear":
        gamma1, gamma2 = c.shear_from_coolest(p["gamma_ext"], p["phi_ext"])
        return {"gamma1": gamma1, "gamma2": gamma2}
    if profile == "sheet":
        return {"kappa": p["kappa_s"]}
    centre = {"center_x": p["center_x"], "center_y": p["center_y"]}
    if profile == "nfw":
        if p["q"] != 1:
            raise ConfigError(
                f"a scene's NFW halo is round; this one has q = {p['q']:g}. Use q = 1, or a PEMD",
                code="no-counterpart",
                profile="NFW",
            )
        alpha_Rs = c.nfw_density_from_coolest(p["rho_c"], p["r_s"], critical)
        return {"Rs": p["r_s"], "alpha_Rs": alpha_Rs, **centre}
    e1, e2 = c.ellipticity(p["q"], c.angle_from_coolest(p["phi"]))
    shape = {"e1": e1, "e2": e2, **centre}
    if profile == "sersic":
        amp = c.intensity_from_autolens(p["I_eff"], pixel)
        return {"amp": amp, "R_sersic": p["theta_eff"], "n_sersic": p["n"], **shape}
    if profile == "epl":
        return {"gamma": p["gamma"], "theta_E": p["theta_E"], **shape}
    return {"theta_E": p["theta_E"], **shape}


def instrument_document(instrument: Instrument) -> dict[str, Any]:
    """Return COOLEST's instrument; the PSF's width is in pixels, as the standard says."""
    psf: dict[str, Any] = {"type": None, "description": None}
    if isinstance(instrument.psf, GaussianPSF):  # in pixels, says the standard
        psf = {
            "type": "GaussianPSF",
            "description": None,
            "fwhm": instrument.psf.fwhm / instrument.pixel_scale,
        }
    return {
        "name": instrument.name,
        "band": "",
        "pixel_size": instrument.pixel_scale,
        "readout_noise": instrument.read_noise,
        "psf": psf,
    }


def observation_document(instrument: Instrument) -> dict[str, Any]:
    """Return COOLEST's observation: exposure, sky and pixels."""
    n = instrument.num_pix
    half = instrument.num_pix * instrument.pixel_scale / 2
    return {
        "exposure_time": float(instrument.total_exposure()),
        "mag_zero_point": instrument.zero_point,
        "mag_sky_brightness": instrument.sky_brightness,
        "noise": {"type": None},
        "pixels": {
            "field_of_view_x": [-half, half],
            "field_of_view_y": [-half, half],
            "num_pix_x": n,
            "num_pix_y": n,
            "fits_file": {"path": None},
        },
    }
