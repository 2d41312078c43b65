"""The mass and light profiles a scene may be made of: their names, parameters and units.

Parameters follow lenstronomy's conventions (docs/conventions.md). Engines map these names to their own code.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["PROFILES", "UNITS", "Profile"]

UNITS = {
    "theta_E": "arcsec",
    "e1": "",
    "e2": "",
    "center_x": "arcsec",
    "center_y": "arcsec",
    "gamma1": "",
    "gamma2": "",
    "amp": "e-/s/arcsec^2",
    "magnitude": "mag",
    "R_sersic": "arcsec",
    "n_sersic": "",
    "mass": "Msun",
    "z_lens": "",
    "z_source": "",
    "z_source_convention": "",
    "exposure_time": "s",
}


@dataclass(frozen=True)
class Profile:
    """One profile: what it describes, the parameters it must have, and defaults of those it may leave out."""

    name: str
    kind: Literal["mass", "light"]
    required: tuple[str, ...]
    defaults: tuple[tuple[str, float], ...] = ()
    one_of: tuple[str, ...] = ()  # exactly one of these must be given

    @property
    def parameters(self) -> tuple[str, ...]:
        """All names that may be given."""
        return (*self.required, *(name for name, _ in self.defaults), *self.one_of)


_CENTRED = (("center_x", 0.0), ("center_y", 0.0))

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("sie", "mass", ("e1", "e2"), _CENTRED, ("theta_E", "mass")),
        Profile("shear", "mass", ("gamma1", "gamma2")),
        Profile("point_mass", "mass", ("theta_E",), _CENTRED),
        Profile("sersic", "light", ("R_sersic", "n_sersic", "e1", "e2"), _CENTRED, ("amp", "magnitude")),
    )
}
