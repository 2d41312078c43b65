"""Fuzzy dark matter of ultra-light axions.

Small haloes are few, the remaining ones have solitons, and the host has granules.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lenssim.errors import ConfigError
from lenssim.simulate.bounds import LOG10_M_AXION, Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.darkmatter.population import HaloPopulation
from lenssim.simulate.distributions import Value
from lenssim.simulate.halos.concentration import power_suppression
from lenssim.simulate.halos.halos import Halos, merge_tables, nfw_structure
from lenssim.simulate.halos.linear import linear_theory
from lenssim.simulate.halos.mass_function import suppression
from lenssim.simulate.halos.soliton import (
    SLOPE,
    Granules,
    coherence_length,
    core_density,
    core_radius,
    cutoff_mass,
    granule_rms,
    minimum_mass,
    soliton_mass,
)
from lenssim.simulate.plane import LensPlane
from lenssim.simulate.scenes import Perturbers

__all__ = ["FuzzyDarkMatter"]

_BLOBS_PER_AREA = 4.0  # blobs on pi length^2 that make a field close to Gaussian


class FuzzyDarkMatter(HaloPopulation):
    """`HaloPopulation` of an axion of mass m = 10^`log10_m_axion` eV, and granules in the host.

    Haloes: n / n_CDM = (1 + (m_0 / M)^1.1)^-2.2 with m_0 of `cutoff_mass` (Schive et al.
    2016, arXiv:1508.04621), and none below `minimum_mass`. c / c_CDM = (1 + 21.42 (m_0 /
    M)^1.62)^-0.42 (Laroche et al. 2022, MNRAS 517, 1867). Each halo is a soliton on the
    core-mass relation (Schive et al. 2014b) in a truncated NFW halo. The NFW halo has the
    bound mass that the soliton leaves; a soliton never has more than the bound mass.

    Granules: a Gaussian random field over the whole disc. Its coherence length is hbar / (m
    sigma) for the host's `velocity_dispersion` [km/s]. Its rms is that of an NFW host at
    the Einstein radius (`granule_rms`), times `granules`.

    The field is drawn as blobs (`Granules`) of the coherence length and `smoothing`
    [arcsec] added in squares. The power at long wavelengths does not change. No camera sees
    structure finer than `smoothing`, which would take a million blobs. There are four blobs
    a coherence area, at most about `max_granules` a system. Fewer blobs leave the power as
    it is and make the field less Gaussian.

    As m grows without bound, haloes become those of cold dark matter, one by one, and
    granules vanish.
    """

    kinds: ClassVar[tuple[str, ...]] = ("tnfw", "uldm", "sheet")
    bounds: ClassVar[dict[str, Bounds]] = {
        **HaloPopulation.bounds,
        "log10_m_axion": LOG10_M_AXION,
        "velocity_dispersion": Bounds(1.0, 1e4, "km/s"),
    }
    units: ClassVar[dict[str, str]] = {
        **HaloPopulation.units,
        "log10_m_axion": "dex(eV)",
        "velocity_dispersion": "km/s",
        "minimum_mass": "Msun",
        "coherence_length": "arcsec",
        "granule_rms": "",
        "n_granules": "",
    }

    model: Literal["axion"]
    log10_m_axion: Value
    velocity_dispersion: Value = 200.0
    granules: float = Field(default=1.0, ge=0, le=1e3)
    smoothing: float = Field(default=0.1, ge=0, le=1e3)
    max_granules: int = Field(default=2000, ge=1, le=1_000_000)

    def draw_matter(self, columns: Columns, plane: LensPlane) -> None:
        """Draw the axion's mass and put the columns of the granules.

        Raises:
            ConfigError: The axion's wavelength does not fit into the frame.
        """
        m = 10 ** columns.draw(
            "log10_m_axion", self.log10_m_axion, self.bounds["log10_m_axion"]
        )
        sigma = columns.draw(
            "velocity_dispersion",
            self.velocity_dispersion,
            self.bounds["velocity_dispersion"],
        )
        length = coherence_length(m, sigma)
        _check_wavelength(m, length, plane)
        rms = self._granule_rms(columns, plane, length)
        theory = linear_theory(plane.cosmology)
        columns.put("minimum_mass", minimum_mass(m, plane.z_lens, theory))
        columns.put("coherence_length", length / plane.kpc_per_arcsec)
        columns.put("granule_rms", self.granules * rms)

    def _granule_rms(
        self, columns: Columns, plane: LensPlane, length: np.ndarray
    ) -> np.ndarray:
        """Return the rms convergence (n,) of granules of coherence `length` [kpc]."""
        c_host = np.full(len(plane), self.host_concentration)
        host_mass = columns.values["host_mass"]
        rho_s, r_s = nfw_structure(host_mass, c_host, plane.z_lens, plane.cosmology)
        radius = plane.theta_E * plane.kpc_per_arcsec
        edge = self.host_concentration
        return granule_rms(length, radius, rho_s, r_s, plane.sigma_crit, edge)

    def survival(
        self, columns: Columns, owner: np.ndarray, mass: np.ndarray, field: bool
    ) -> np.ndarray:
        """Return n / n_CDM (M,) of Schive et al. 2016, and 0 below `minimum_mass`."""
        m = 10 ** columns.values["log10_m_axion"][owner]
        share = suppression(mass, cutoff_mass(m), 1.0, 1.1, -2.2)
        return np.where(mass < columns.values["minimum_mass"][owner], 0.0, share)

    def shrink(self, columns: Columns, owner: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Return c / c_CDM (M,) of Laroche et al. 2022."""
        return power_suppression(
            mass,
            cutoff_mass(10 ** columns.values["log10_m_axion"][owner]),
            21.42,
            1.62,
            -0.42,
        )

    def tables(
        self, columns: Columns, plane: LensPlane, halos: Halos
    ) -> dict[str, Perturbers]:
        """Return envelopes, solitons and granules.

        In the table of each system solitons come before granules.
        """
        theory = linear_theory(plane.cosmology)
        m = 10 ** columns.values["log10_m_axion"][halos.owner]
        r_c = core_radius(m, halos.mass, halos.z, theory)
        rho_c = core_density(m, r_c, halos.z)
        share = np.minimum(1.0, soliton_mass(rho_c, r_c) / halos.bound_mass)
        # Msun / kpc^3, of the mass that fits
        central = share * halos.bound_mass / soliton_mass(1.0, r_c)
        n = len(plane)
        solitons = halos.solitons(n, central, r_c, SLOPE)
        return {
            "tnfw": halos.tnfw(n, 1 - share),
            "uldm": merge_tables(solitons, self._granules(columns, plane)),
        }

    def _granules(self, columns: Columns, plane: LensPlane) -> Perturbers:
        values = columns.values
        granules = Granules(values["coherence_length"], values["granule_rms"])
        field = granules.smoothed(self.smoothing)
        disc = self.disc(plane)
        number = np.minimum(
            _BLOBS_PER_AREA * (disc / field.length) ** 2, self.max_granules
        ) * (self.granules > 0)
        counts = columns.rng.poisson(number)
        owner = np.repeat(np.arange(len(plane)), counts)
        radius, angle = columns.rng.uniform(size=(2, len(owner)))
        strength = field.amplitude(np.maximum(number, 1) / (np.pi * disc**2))
        columns.put("n_granules", counts.astype(np.float64))
        return Perturbers.from_counts(
            counts,
            kappa_0=strength[owner] * columns.rng.standard_normal(len(owner)),
            theta_c=field.theta_c[owner],
            slope=np.full(len(owner), SLOPE),
            center_x=disc * np.sqrt(radius) * np.cos(2 * np.pi * angle),
            center_y=disc * np.sqrt(radius) * np.sin(2 * np.pi * angle),
        )


def _check_wavelength(m: np.ndarray, length: np.ndarray, plane: LensPlane) -> None:
    wave = 2 * np.pi * length / plane.kpc_per_arcsec
    if (wave > 2 * plane.frame).any():
        raise ConfigError(
            f"the de Broglie length of an axion of {m[np.argmax(wave)]:.2g} eV is "
            f"{wave.max():.3g} arcsec, more than the frame's {2 * plane.frame:.3g}; choose a "
            "larger log10_m_axion or a larger stamp",
            code="axion-wave",
        )
