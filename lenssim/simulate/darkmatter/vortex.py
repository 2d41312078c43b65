"""A vortex of an axion condensate, as a chain of point masses: the `axion` class of DeepLense Models I-III."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lenssim.simulate.columns import Columns
from lenssim.simulate.distributions import Value
from lenssim.simulate.scenes import Perturbers

__all__ = ["BeadVortex"]


class BeadVortex(BaseModel):
    """`beads` equal point masses on a line through the centre, from -L to L, of total `mass` (Msun).

    L = 0.06" / 2 * (1e-22 eV / m) follows the de Broglie wavelength of an axion of mass m; the angle of the line
    is uniform. As published (DeepLenseSim `make_vortex`): 3e10 Msun in 100 beads, log10(m / eV) uniform in -24..-22.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kinds: ClassVar[tuple[str, ...]] = ("point_mass",)
    units: ClassVar[dict[str, str]] = {
        "log10_m_axion": "dex(eV)",
        "vortex_half_length": "arcsec",
        "vortex_angle": "rad",
        "substructure_mass": "Msun",
    }

    model: Literal["vortex_beads"]
    beads: int = Field(default=100, ge=2, le=100_000)
    mass: Value
    log10_m_axion: Value

    def perturb(self, columns: Columns, solar_einstein_radius: np.ndarray) -> dict[str, Perturbers]:
        """Beads of n systems; `solar_einstein_radius` (n,) is that of one solar mass, in arcsec."""
        log10_m = columns.draw("log10_m_axion", self.log10_m_axion)
        mass = columns.draw("substructure_mass", self.mass)
        half_length = columns.put("vortex_half_length", 0.06 / 2 * 10 ** (-22 - log10_m))
        angle = columns.put("vortex_angle", columns.rng.uniform(0, 2 * np.pi, columns.n))
        along = np.linspace(-1, 1, self.beads) * half_length[:, None]
        bead = solar_einstein_radius * np.sqrt(mass / self.beads)
        return {
            "point_mass": Perturbers.from_counts(
                np.full(columns.n, self.beads),
                theta_E=np.repeat(bead, self.beads),
                center_x=(along * np.cos(angle)[:, None]).ravel(),
                center_y=(along * np.sin(angle)[:, None]).ravel(),
            )
        }
