"""Deflectors: early-type galaxies in a volume of the sky, their shapes and their light."""

import numpy as np
from pydantic import Field, model_validator

from lenssim.record import Record
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.sources.early_types import absolute_magnitude, effective_radius
from lenssim.simulate.survey.counts import Counts
from lenssim.simulate.survey.dispersions import DISPERSION_FUNCTIONS, dispersion_function
from lenssim.simulate.survey.shapes import axis_ratios

__all__ = ["SQUARE_DEGREE", "Deflectors"]

SQUARE_DEGREE = (np.pi / 180) ** 2  # sr
_REDSHIFT_CELLS = 400
_DISPERSION_CELLS = 300


class Deflectors(Record):
    """The galaxies that may be lenses: how many there are, and of which shape.

    Axis ratios follow Collett 2015: 1 - q has a Rayleigh distribution of the width
    0.378 - 0.000572 sigma_v.

    Example:
        >>> deflectors = Deflectors()
        >>> cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
        >>> round(deflectors.counts(cosmology).total / 100)  # hundreds a square degree
        268
    """

    dispersion_function: str = Field(
        default="choi2007", description="velocity-dispersion function"
    )
    sigma_v: tuple[float, float] = Field(
        default=(100.0, 400.0), description="smallest and largest, in km/s"
    )
    z_max: float = Field(default=2.0, gt=0, le=6, description="largest redshift")
    shear: float = Field(
        default=0.05, ge=0, le=0.2, description="rms of each component of the shear"
    )

    @model_validator(mode="after")
    def _checked(self) -> "Deflectors":
        if self.dispersion_function not in DISPERSION_FUNCTIONS:
            raise ValueError(
                f"unknown velocity-dispersion function; there are {', '.join(DISPERSION_FUNCTIONS)}"
            )
        low, high = self.sigma_v
        if not 10 <= low < high <= 1000:
            raise ValueError("sigma_v must rise and lie in 10 to 1000 km/s")
        return self

    def counts(self, cosmology: Cosmology) -> Counts:
        """Return how many there are on a square degree, by redshift and velocity dispersion."""
        function = dispersion_function(self.dispersion_function)
        z = np.linspace(0.0, self.z_max, _REDSHIFT_CELLS + 1)
        sigma_v = np.geomspace(*self.sigma_v, _DISPERSION_CELLS + 1)
        centres = 0.5 * (z[1:] + z[:-1])
        middles = 0.5 * (sigma_v[1:] + sigma_v[:-1])
        density = function.density_at(middles[None, :], centres[:, None])
        volume = np.diff(cosmology.comoving_distance(z) ** 3) / 3 * SQUARE_DEGREE
        return Counts(z, sigma_v, density * np.diff(sigma_v) * volume[:, None])

    def draw_shapes(
        self,
        rng: np.random.Generator,
        z_lens: np.ndarray,
        sigma_v: np.ndarray,
        cosmology: Cosmology,
    ) -> dict[str, np.ndarray]:
        """Draw the shape of the mass, the shear, and the size and brightness of the light.

        Args:
            rng: Generator of random numbers.
            z_lens: Redshifts (N,).
            sigma_v: Velocity dispersions (N,) [km/s].
            cosmology: The cosmology.

        Returns:
            Columns (N,): `q`, `phi`, `gamma1`, `gamma2`, the absolute magnitude
            `lens_light_absolute_magnitude` in SDSS r at rest, and `lens_light_R_sersic`
            [arcsec].
        """
        n = len(z_lens)
        width = np.maximum(0.378 - 0.000572 * sigma_v, 0.05)
        scatter = rng.standard_normal((2, n))
        size = effective_radius(sigma_v) * 10 ** (0.11 * scatter[0])
        return {
            "q": axis_ratios(rng, width),
            "phi": rng.random(n) * np.pi,
            "gamma1": self.shear * rng.standard_normal(n),
            "gamma2": self.shear * rng.standard_normal(n),
            "lens_light_absolute_magnitude": absolute_magnitude(sigma_v)
            + 0.0625 * scatter[1],
            "lens_light_R_sersic": size / cosmology.kpc_per_arcsec(z_lens),
        }
