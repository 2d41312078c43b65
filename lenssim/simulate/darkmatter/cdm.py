"""Cold dark matter: truncated NFW haloes, and the point masses of DeepLense Models I-III."""

from typing import ClassVar, Literal

import numpy as np

from lenssim.simulate.bounds import Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.darkmatter.model import DarkMatterModel
from lenssim.simulate.darkmatter.population import HaloPopulation
from lenssim.simulate.distributions import PowerLaw, Value, sample
from lenssim.simulate.plane import LensPlane, put_truth
from lenssim.simulate.scenes import Perturbers

__all__ = ["ColdDarkMatter", "PointMassCDM"]


class ColdDarkMatter(HaloPopulation):
    """Subhaloes and haloes of the field of any mass: `HaloPopulation` without suppression."""

    model: Literal["cdm"]


class PointMassCDM(DarkMatterModel):
    """`number` point masses a lens, with masses [Msun], radii [arcsec] and angles about the centre.

    As published (DeepLenseSim `make_cdm`): exactly 25, dN/dm ~ m^-0.9 from 1e6 to 1e10
    Msun, radius uniform in 0.25-2.0", angle uniform. The published scripts draw a Poisson
    number without using it, and state a slope of -1.9.
    """

    kinds: ClassVar[tuple[str, ...]] = ("point_mass",)
    bounds: ClassVar[dict[str, Bounds]] = {
        "number": Bounds(0, 100_000, whole=True),
        "mass": Bounds(1.0, 1e17, "Msun"),
        "radius": Bounds(0.0, 1e4, "arcsec"),
    }
    units: ClassVar[dict[str, str]] = {"n_subhaloes": "", "substructure_mass": "Msun"}

    model: Literal["cdm_point_masses"]
    number: Value = 25
    mass: PowerLaw
    radius: Value

    def perturb(self, columns: Columns, plane: LensPlane) -> dict[str, Perturbers]:
        """Draw the point masses of n systems.

        Args:
            columns: The systems' columns (n,), to which those of `units` are added.
            plane: The lens plane, with its Einstein radius of one solar mass.

        Returns:
            Perturbers under "point_mass".
        """
        number = columns.draw("n_subhaloes", self.number, self.bounds["number"])
        counts = number.astype(np.int64)
        total = int(counts.sum())
        owner = np.repeat(np.arange(columns.n), counts)
        mass = self.mass.sample(columns.rng, total)
        radius = sample(self.radius, columns.rng, total)
        with columns.naming_samples(owner):
            self.bounds["radius"].check("radius", radius)
        angle = columns.rng.uniform(0, 2 * np.pi, total)
        columns.put(
            "substructure_mass", np.bincount(owner, weights=mass, minlength=columns.n)
        )
        x = radius * np.sin(angle)
        y = radius * np.cos(angle)
        put_truth(columns, plane, owner, mass, x, y)
        return {
            "point_mass": Perturbers.from_counts(
                counts,
                theta_E=plane.solar_einstein_radius[owner] * np.sqrt(mass),
                center_x=x,
                center_y=y,
            )
        }
