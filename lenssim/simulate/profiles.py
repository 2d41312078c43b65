"""The mass and light profiles of scenes: names, parameters, units and bounds.

Parameters follow lenstronomy's conventions (docs/conventions.md). Engines map these names
to their own code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lenssim.simulate.bounds import Bounds

__all__ = [
    "COLOUR",
    "GALAXY",
    "PARAMETERS",
    "POLAR",
    "PROFILES",
    "UNITS",
    "Parameter",
    "Profile",
    "check_bounds",
    "parameter_of",
]


@dataclass(frozen=True)
class Parameter:
    """The bounds of a parameter, and its null value: with it a mass profile deflects nothing."""

    bounds: Bounds
    null: float = 0.0


_REDSHIFT = Bounds(1e-4, 25.0)  # distances are interpolated up to 25
_PLACE = Parameter(Bounds(-1e4, 1e4, "arcsec"))
_ANGLE = Parameter(Bounds(-100.0, 100.0, "rad"))
_ELLIPTICITY = Parameter(Bounds(-1.0, 1.0, open_low=True, open_high=True))

PARAMETERS = {
    "theta_E": Parameter(Bounds(0.0, 1e3, "arcsec")),
    "gamma": Parameter(Bounds(1.0, 3.0, open_low=True, open_high=True), null=2.0),
    "e1": _ELLIPTICITY,
    "e2": _ELLIPTICITY,
    "q": Parameter(Bounds(0.0, 1.0, open_low=True)),  # and not below `Profile.flattest`
    "phi": _ANGLE,
    "center_x": _PLACE,
    "center_y": _PLACE,
    "gamma1": Parameter(Bounds(-2.0, 2.0)),
    "gamma2": Parameter(Bounds(-2.0, 2.0)),
    "half_length": Parameter(Bounds(0.0, 1e4, "arcsec", open_low=True), null=1.0),
    "angle": _ANGLE,
    "kappa": Parameter(Bounds(-100.0, 100.0)),
    "Rs": Parameter(Bounds(1e-5, 1e4, "arcsec"), null=1.0),
    "alpha_Rs": Parameter(Bounds(-1e4, 1e4, "arcsec")),
    "r_trunc": Parameter(Bounds(0.0, 1e6, "arcsec", open_low=True), null=1.0),
    "r_core": Parameter(Bounds(0.0, 1e3, "arcsec", open_low=True), null=1.0),
    "kappa_0": Parameter(Bounds(-1e30, 1e30)),
    "theta_c": Parameter(Bounds(0.0, 1e3, "arcsec", open_low=True), null=1.0),
    "slope": Parameter(Bounds(2.0, 100.0), null=8.0),
    "amp": Parameter(Bounds(0.0, 1e15, "e-/s/arcsec^2")),
    "magnitude": Parameter(Bounds(-5.0, 60.0, "mag")),
    "colour": Parameter(Bounds(-30.0, 30.0, "mag")),
    "R_sersic": Parameter(Bounds(1e-3, 1e3, "arcsec"), null=1.0),
    "n_sersic": Parameter(Bounds(0.2, 15.0), null=1.0),
    "arms": Parameter(Bounds(1.0, 6.0, whole=True)),
    "arm_strength": Parameter(Bounds(0.0, 1.0)),
    "winding": Parameter(Bounds(-100.0, 100.0)),
    "arm_phase": _ANGLE,
    "surface_brightness": Parameter(Bounds(5.0, 45.0, "mag/arcsec^2")),
    "R_max": Parameter(Bounds(1e-3, 1e3, "arcsec")),
    "surface_brightness_trend": Parameter(Bounds(-5.0, 5.0)),
    "magnitude_slope": Parameter(Bounds(-20.0, 20.0, "mag/dex")),
    "magnitude_curve": Parameter(Bounds(-20.0, 20.0, "mag/dex^2")),
    "brightness_slope": Parameter(Bounds(-20.0, 20.0, "mag/dex")),
    "clumps": Parameter(Bounds(0.0, 32.5)),
    "clump_share": Parameter(Bounds(1e-4, 0.5)),
    "clump_size": Parameter(Bounds(1e-3, 10.0)),
    "clump_n_sersic": Parameter(Bounds(0.2, 15.0)),
    "bulge_share": Parameter(Bounds(0.0, 1.0)),
    "bulge_size": Parameter(Bounds(1e-3, 10.0)),
    "index_scatter": Parameter(Bounds(-1.0, 1.0, "dex")),
    "bulge_q": Parameter(Bounds(0.02, 1.0)),
    "disc_q": Parameter(Bounds(0.02, 1.0)),
    "tilt": _ANGLE,
    "arm_count": Parameter(Bounds(0.5, 6.5)),
    "companions": Parameter(Bounds(0.0, 32.5)),
    "theta_E_above": Parameter(Bounds(0.0, 1e3, "arcsec")),
    "radius": Parameter(Bounds(1e-2, 1e3, "arcsec")),
    **dict.fromkeys(
        ("spiral", "ring", "merger", "edge_on", "blue", "star", "trail"),
        Parameter(Bounds(0.0, 1.0)),
    ),
    "sigma_v": Parameter(Bounds(1.0, 2000.0, "km/s")),
    "luminosity_scatter": Parameter(Bounds(-10.0, 10.0, "mag")),
    "size_scatter": Parameter(Bounds(-3.0, 3.0, "dex")),
    "e1_offset": Parameter(Bounds(-0.5, 0.5)),
    "e2_offset": Parameter(Bounds(-0.5, 0.5)),
    "absolute_magnitude": Parameter(Bounds(-60.0, 60.0, "mag")),
    "image": Parameter(Bounds(0.0, 1e6, whole=True)),
    "phi_G": _ANGLE,
    "scale": Parameter(Bounds(1e-5, 1e3, "arcsec"), null=1.0),
    "R_half": Parameter(Bounds(1e-3, 1e3, "arcsec")),
    "mass": Parameter(Bounds(1.0, 1e17, "Msun"), null=1.0),
    "z_lens": Parameter(_REDSHIFT),
    "z_source": Parameter(_REDSHIFT),
    "z_source_convention": Parameter(_REDSHIFT),
    "psf_index": Parameter(Bounds(0.0, 1e6, whole=True)),
    "psf_fwhm": Parameter(Bounds(1e-4, 1e4, "arcsec")),
    "exposure_time": Parameter(Bounds(1e-3, 1e8, "s")),
}
UNITS = {name: parameter.bounds.unit for name, parameter in PARAMETERS.items()}

# `colour_g` is the magnitude in the band g less the component's `magnitude`.
COLOUR = "colour_"


def parameter_of(name: str) -> str:
    """Return the entry in `PARAMETERS` of a parameter: colours of all bands share one.

    Example:
        >>> parameter_of("colour_g"), parameter_of("theta_E")
        ('colour', 'theta_E')
    """
    if name.startswith(COLOUR):
        return "colour"
    return name


# Axis ratio and angle of the major axis: a preset may state them instead of e1 and e2.
POLAR = ("q", "phi")
# Half-light radius: a preset states it of a galaxy instead of image and scale.
GALAXY = ("R_half",)


@dataclass(frozen=True)
class Profile:
    """One profile: its parameters, which of them are required, and defaults of the others.

    Attributes:
        name: Name in presets and scenes.
        kind: "mass" or "light".
        required: Parameters that must be given.
        defaults: Other parameters and their default values.
        one_of: Exactly one of these must be given; engines take the first.
        flattest: The smallest axis ratio at which all engines agree.
    """

    name: str
    kind: Literal["mass", "light"]
    required: tuple[str, ...]
    defaults: tuple[tuple[str, float], ...] = ()
    one_of: tuple[str, ...] = ()
    flattest: float = 0.0002

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters that may be given."""
        return (*self.required, *(name for name, _ in self.defaults), *self.one_of)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the parameters that an engine's function of this profile takes."""
        return (*self.required, *(name for name, _ in self.defaults), *self.one_of[:1])

    def bounds(self, name: str) -> Bounds:
        """Return the bounds of one of its parameters."""
        if name == "q":
            return Bounds(self.flattest, 1.0)
        return PARAMETERS[parameter_of(name)].bounds

    @property
    def null_parameters(self) -> tuple[float, ...]:
        """Values of `columns` of a mass that deflects nothing: no strength, sizes of 1.

        Example:
            >>> PROFILES["point_mass"].null_parameters
            (0.0, 0.0, 0.0)
        """
        return tuple(PARAMETERS[name].null for name in self.columns)


_CENTRED = (("center_x", 0.0), ("center_y", 0.0))

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("sie", "mass", ("e1", "e2"), _CENTRED, ("theta_E", "mass", "sigma_v")),
        Profile(
            "epl",
            "mass",
            ("gamma", "e1", "e2"),
            _CENTRED,
            ("theta_E", "mass", "sigma_v"),
            flattest=0.03,
        ),
        Profile("shear", "mass", ("gamma1", "gamma2")),
        Profile("sheet", "mass", ("kappa",)),
        Profile("point_mass", "mass", ("theta_E",), _CENTRED),
        Profile("line_mass", "mass", ("theta_E", "half_length", "angle"), _CENTRED),
        Profile("nfw", "mass", ("Rs", "alpha_Rs"), _CENTRED),
        Profile("tnfw", "mass", ("Rs", "alpha_Rs", "r_trunc"), _CENTRED),
        Profile("cnfw", "mass", ("Rs", "alpha_Rs", "r_core"), _CENTRED),
        Profile("uldm", "mass", ("kappa_0", "theta_c"), (*_CENTRED, ("slope", 8.0))),
        Profile(
            "sersic",
            "light",
            ("R_sersic", "n_sersic", "e1", "e2"),
            _CENTRED,
            ("amp", "magnitude"),
        ),
        Profile(
            "spiral",
            "light",
            ("R_sersic", "n_sersic", "e1", "e2", "arms", "arm_strength", "winding"),
            (("arm_phase", 0.0), *_CENTRED),
            ("amp", "magnitude"),
        ),
        Profile(
            "interpolated",
            "light",
            ("image", "scale"),
            (*_CENTRED, ("phi_G", 0.0)),
            ("amp", "magnitude"),
        ),
    )
}


def check_bounds(
    profile: Profile, values: Mapping[str, np.ndarray], prefix: str = ""
) -> None:
    """Check that parameters of a profile lie in their bounds.

    Args:
        profile: The profile.
        values: Columns (n,) by the parameter's name, without `prefix`.
        prefix: Text before the names in messages.

    Raises:
        OutOfBoundsError: A number lies outside; the error has its row.
    """
    for name, column in values.items():
        profile.bounds(name).check(prefix + name, column)
    if "e1" in values:
        modulus = np.hypot(values["e1"], values["e2"])
        q = (1 - modulus) / (1 + modulus)
        name = f"the axis ratio of {prefix}e1, {prefix}e2"
        Bounds(profile.flattest * (1 - 1e-6), 1.0).check(name, q)
