"""Luminosity functions of galaxies, and their counts on the sky."""

import numpy as np
from pydantic import Field

from lenssim.record import Record
from lenssim.simulate.cosmology import ARCSEC_PER_RADIAN, Cosmology
from lenssim.simulate.sources.colours import apparent_magnitude
from lenssim.simulate.survey.counts import Counts

__all__ = ["LuminosityFunction"]

_REDSHIFT_CELLS = 300
_MAGNITUDES = np.linspace(-26.0, -11.0, 301)


class LuminosityFunction(Record):
    """A Schechter function in SDSS r at rest, which evolves with redshift.

    M* = magnitude - evolution min(z, z_evolution); phi* = density (1 + z)^density_evolution.

    Example:
        >>> function = LuminosityFunction(density=0.01, magnitude=-20, slope=-1.2)
        >>> function.density_at(np.array([-20.0]), np.array([0.0])).round(5)
        array([0.00339])
    """

    density: float = Field(gt=0, description="phi* today [Mpc^-3]")
    magnitude: float = Field(ge=-30, le=-10, description="M* today")
    slope: float = Field(ge=-1.95, le=1, description="slope alpha of the faint end")
    evolution: float = Field(default=0.0, description="mag brighter per unit of redshift")
    z_evolution: float = Field(default=6.0, ge=0, description="where M* stops to change")
    density_evolution: float = Field(default=0.0, description="power of 1 + z")

    def density_at(self, absolute: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return the comoving density of galaxies for each magnitude [Mpc^-3 mag^-1].

        Args:
            absolute: Absolute magnitudes.
            z: Redshifts, of a shape that broadcasts with that of `absolute`.
        """
        characteristic = self.magnitude - self.evolution * np.minimum(z, self.z_evolution)
        luminosity = 10 ** (-0.4 * (absolute - characteristic))
        density = self.density * (1 + z) ** self.density_evolution
        shape = luminosity ** (1 + self.slope) * np.exp(-luminosity)
        return 0.4 * np.log(10) * density * shape

    def counts(
        self,
        kind: str,
        filter_name: str,
        faintest: float,
        z_range: tuple[float, float],
        cosmology: Cosmology,
    ) -> Counts:
        """Return how many galaxies there are on a square arcsec, by redshift and magnitude.

        Args:
            kind: Type of their spectra, one of `GALAXY_TYPES`.
            filter_name: Filter that their apparent magnitude is measured in.
            faintest: Largest apparent magnitude that is counted.
            z_range: Smallest and largest redshift.
            cosmology: The cosmology.
        """
        z = np.linspace(*z_range, _REDSHIFT_CELLS + 1)
        centres = 0.5 * (z[1:] + z[:-1])
        middles = 0.5 * (_MAGNITUDES[1:] + _MAGNITUDES[:-1])
        volume = np.diff(cosmology.comoving_distance(z) ** 3) / 3 / ARCSEC_PER_RADIAN**2
        numbers = self.density_at(middles[None, :], centres[:, None])
        numbers = numbers * np.diff(_MAGNITUDES) * volume[:, None]
        dimming = apparent_magnitude(
            np.zeros(len(centres)), centres, filter_name, kind, cosmology
        )
        is_seen = middles[None, :] + dimming[:, None] < faintest
        return Counts(z, _MAGNITUDES, np.where(is_seen, numbers, 0.0))
