"""The mass and light profiles a scene may be made of: their names, parameters, units and bounds.

Parameters follow lenstronomy's conventions (docs/conventions.md). Engines map these names to their own code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lenssim.errors import ConfigError

__all__ = ["GALAXY", "POLAR", "PROFILES", "UNITS", "Profile", "check_bounds"]

UNITS = {
    "theta_E": "arcsec",
    "gamma": "",
    "e1": "",
    "e2": "",
    "q": "",
    "phi": "rad",
    "center_x": "arcsec",
    "center_y": "arcsec",
    "gamma1": "",
    "gamma2": "",
    "half_length": "arcsec",
    "angle": "rad",
    "kappa": "",
    "Rs": "arcsec",
    "alpha_Rs": "arcsec",
    "r_trunc": "arcsec",
    "r_core": "arcsec",
    "kappa_0": "",
    "theta_c": "arcsec",
    "slope": "",
    "amp": "e-/s/arcsec^2",
    "magnitude": "mag",
    "R_sersic": "arcsec",
    "n_sersic": "",
    "image": "",
    "phi_G": "rad",
    "scale": "arcsec",
    "R_half": "arcsec",
    "mass": "Msun",
    "z_lens": "",
    "z_source": "",
    "z_source_convention": "",
    "exposure_time": "s",
}

POLAR = ("q", "phi")  # axis ratio and angle of the major axis: what a preset may state instead of e1 and e2
GALAXY = ("R_half",)  # half-light radius: what a preset states of a galaxy instead of image and scale
_POSITIVE = ("R_sersic", "n_sersic", "Rs", "r_trunc", "r_core", "theta_c", "half_length", "scale", "mass")
_SHAPES = {"gamma": 2.0, "slope": 8.0}
_NOT_NEGATIVE = ("theta_E", "amp")
_RANGES = {"gamma": (1.0, 3.0), "slope": (2.0, np.inf)}  # gamma without its ends


@dataclass(frozen=True)
class Profile:
    """One profile: what it describes, the parameters it must have, and defaults of those it may leave out."""

    name: str
    kind: Literal["mass", "light"]
    required: tuple[str, ...]
    defaults: tuple[tuple[str, float], ...] = ()
    one_of: tuple[str, ...] = ()  # exactly one of these must be given; engines take the first

    @property
    def parameters(self) -> tuple[str, ...]:
        """All names that may be given."""
        return (*self.required, *(name for name, _ in self.defaults), *self.one_of)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the parameters that an engine's function of this profile takes."""
        return (*self.required, *(name for name, _ in self.defaults), *self.one_of[:1])

    @property
    def idle(self) -> tuple[float, ...]:
        """Values of `columns` of a mass that deflects nothing: no strength, sizes of 1."""
        return tuple(_SHAPES.get(name, float(name in _POSITIVE)) for name in self.columns)


_CENTRED = (("center_x", 0.0), ("center_y", 0.0))

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("sie", "mass", ("e1", "e2"), _CENTRED, ("theta_E", "mass")),
        Profile("epl", "mass", ("gamma", "e1", "e2"), _CENTRED, ("theta_E", "mass")),
        Profile("shear", "mass", ("gamma1", "gamma2")),
        Profile("sheet", "mass", ("kappa",)),
        Profile("point_mass", "mass", ("theta_E",), _CENTRED),
        Profile("line_mass", "mass", ("theta_E", "half_length", "angle"), _CENTRED),
        Profile("nfw", "mass", ("Rs", "alpha_Rs"), _CENTRED),
        Profile("tnfw", "mass", ("Rs", "alpha_Rs", "r_trunc"), _CENTRED),
        Profile("cnfw", "mass", ("Rs", "alpha_Rs", "r_core"), _CENTRED),
        Profile("uldm", "mass", ("kappa_0", "theta_c"), (*_CENTRED, ("slope", 8.0))),
        Profile("sersic", "light", ("R_sersic", "n_sersic", "e1", "e2"), _CENTRED, ("amp", "magnitude")),
        Profile("interpolated", "light", ("image", "scale"), (*_CENTRED, ("phi_G", 0.0)), ("amp", "magnitude")),
    )
}


def check_bounds(values: Mapping[str, np.ndarray], prefix: str = "") -> None:
    """`ConfigError` if a parameter of a profile lies where the profile does not exist; names are without `prefix`."""
    for name, column in values.items():
        if not np.isfinite(column).all():
            raise ConfigError(f"column {prefix + name!r} holds NaN or infinite numbers")
        if name in _POSITIVE and (column <= 0).any():
            raise ConfigError(f"column {prefix + name!r} must be positive, got {column.min():g}")
        if name in _NOT_NEGATIVE and (column < 0).any():
            raise ConfigError(f"column {prefix + name!r} must not be negative, got {column.min():g}")
        low, high = _RANGES.get(name, (-np.inf, np.inf))
        outside = (column < low) | (column > high) | ((name == "gamma") & ((column == low) | (column == high)))
        if outside.any():
            raise ConfigError(f"column {prefix + name!r} must lie in {low:g}..{high:g}, got {column[outside][0]:g}")
    if "e1" in values:
        e = np.hypot(values["e1"], values["e2"])
        if (e >= 1).any():
            raise ConfigError(f"{prefix}e1, {prefix}e2: an ellipticity of {e.max():g}; it must be below 1")
