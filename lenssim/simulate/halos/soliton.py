"""Ultra-light dark matter: solitons in haloes, and the interference granules of a halo."""

from dataclasses import dataclass

import numpy as np
import scipy  # its modules are imported when they are used

from lenssim.simulate.cosmology import C
from lenssim.simulate.halos.linear import LinearTheory

__all__ = [
    "SLOPE",
    "Granules",
    "coherence_length",
    "core_density",
    "core_radius",
    "cutoff_mass",
    "granule_rms",
    "minimum_mass",
    "soliton_mass",
]

SLOPE = 8.0  # of the soliton's density, (1 + 0.091 (r / r_c)^2)^-8
_A = 2 ** (1 / SLOPE) - 1
# (b / length)^2 of the blobs that make granules: (SLOPE - 3/2)^2 / (2 SLOPE - 2)
_B2 = 169 / 56
_HBAR = 6.582119569e-16  # eV s
_KM_PER_KPC = 3.0856775814913673e16


def cutoff_mass(m_axion: np.ndarray) -> np.ndarray:
    """Return the mass 1.6e10 (m / 1e-22 eV)^(-4/3) Msun below which haloes are few.

    Schive et al. 2016 (arXiv:1508.04621).

    Example:
        >>> float(cutoff_mass(np.array(1e-22)))
        16000000000.0
    """
    return 1.6e10 * (m_axion / 1e-22) ** (-4 / 3)


def minimum_mass(m_axion: np.ndarray, z: np.ndarray, theory: LinearTheory) -> np.ndarray:
    """Return the mass [Msun] of a halo that is all soliton: Schive et al. 2014b (arXiv:1407.7762).

    4.4e7 a^(-3/4) (zeta(z) / zeta(0))^(1/4) (m / 1e-22 eV)^(-3/2).
    """
    return 4.4e7 * (1 + z) ** 0.75 * _zeta(z, theory) ** 0.25 * (m_axion / 1e-22) ** -1.5


def core_radius(
    m_axion: np.ndarray, mass: np.ndarray, z: np.ndarray, theory: LinearTheory
) -> np.ndarray:
    """Return the radius [kpc] of half the central density in a halo of `mass` [Msun].

    r_c = 1.6 kpc (1e-22 eV / m) a^(1/2) (zeta(z) / zeta(0))^(-1/6) (M / 1e9 Msun)^(-1/3):
    Schive et al. 2014b (arXiv:1407.7762, equation 7).
    """
    return (
        1.6
        / (m_axion / 1e-22)
        * (1 + z) ** -0.5
        * _zeta(z, theory) ** (-1 / 6)
        * np.cbrt(1e9 / mass)
    )


def core_density(m_axion: np.ndarray, r_c: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the central density [Msun / kpc^3] of a soliton of core radius `r_c` [kpc].

    rho_c = 1.9 / a (m / 1e-23 eV)^-2 (r_c / a / kpc)^-4 Msun / pc^3: Schive et al. 2014
    (arXiv:1406.6586).
    """
    return 1.9e9 * (1 + z) * (m_axion / 1e-23) ** -2 * (r_c * (1 + z)) ** -4.0


def soliton_mass(
    rho_c: np.ndarray | float, r_c: np.ndarray, slope: float = SLOPE
) -> np.ndarray:
    """Return the total mass [Msun] of rho_c (1 + a (r / r_c)^2)^-slope, a = 2^(1 / slope) - 1.

    Args:
        rho_c: Central densities [Msun / kpc^3].
        r_c: Radii of half the central density [kpc].
        slope: Exponent of the density.
    """
    return (
        rho_c
        * r_c**3
        * np.pi**1.5
        * scipy.special.gamma(slope - 1.5)
        / (scipy.special.gamma(slope) * (2 ** (1 / slope) - 1) ** 1.5)
    )


def coherence_length(m_axion: np.ndarray, velocity_dispersion: np.ndarray) -> np.ndarray:
    """Return lambda_c = hbar / (m sigma) [kpc], the de Broglie length over 2 pi.

    `velocity_dispersion` [km/s] is that in one dimension. Waves with Gaussian momenta
    interfere to a density of correlation exp(-(r / lambda_c)^2) and variance 1.
    """
    return _HBAR / m_axion * C**2 / velocity_dispersion / _KM_PER_KPC


def granule_rms(
    length: np.ndarray,
    radius: np.ndarray,
    rho_s: np.ndarray,
    r_s: np.ndarray,
    sigma_crit: np.ndarray,
    edge: float,
) -> np.ndarray:
    """Return the rms convergence (n,) of granules seen through an NFW host.

    kappa_rms^2 = sqrt(pi) lambda_c / Sigma_crit^2 int rho^2 dl, along the line of sight to
    `edge` scale radii. It is the granules' correlation integrated once, for a host that
    varies little over lambda_c.

    Args:
        length: Coherence lengths (n,) [kpc].
        radius: Projected radii (n,) [kpc].
        rho_s: Densities (n,) of the hosts [Msun / kpc^3].
        r_s: Their scale radii (n,) [kpc].
        sigma_crit: Critical surface densities (n,) [Msun / kpc^2].
        edge: End of the integral, in scale radii.
    """
    x = (radius / r_s)[:, None]
    log_l = np.linspace(np.log(1e-4), np.log(edge), 400)
    along = np.exp(log_l)
    r = np.hypot(x, along)
    squared = (
        2 * np.trapezoid(along / (r * (1 + r) ** 2) ** 2, log_l, axis=1) * rho_s**2 * r_s
    )
    return np.sqrt(np.sqrt(np.pi) * length * squared) / sigma_crit


@dataclass(frozen=True)
class Granules:
    """Blobs of random sign that make a random field of convergence.

    The field has rms `rms` and coherence `length` [arcsec]. It is the sum over blobs
    kappa_0 (1 + (r / b)^2)^-7.5, the projected soliton, which is nearly a Gaussian. With
    b^2 = 169 / 56 length^2 its power has both the right maximum and the right integral, and

        P(k) = rms^2 pi length^2 exp(-length^2 k^2 / 4)

    holds to 5 % of its value at k = 0 everywhere. Power does not depend on the number of
    blobs; Gaussianity does. With about 4 blobs or more on pi length^2 the field is close to
    Gaussian.
    """

    length: np.ndarray  # (n,)
    rms: np.ndarray  # (n,)

    def smoothed(self, scale: float) -> "Granules":
        """Return the field without structure finer than `scale` [arcsec].

        Its length^2 grows by scale^2, and P(0) does not change.
        """
        length = np.hypot(self.length, scale)
        return Granules(length, self.rms * self.length / length)

    @property
    def theta_c(self) -> np.ndarray:
        """Core radius [arcsec] of the blobs, (n,)."""
        return np.sqrt(_B2 * _A) * self.length

    def amplitude(self, density: np.ndarray) -> np.ndarray:
        """Return the rms kappa_0 (n,) of blobs of a number `density` (n,) [1 / arcsec^2]."""
        return self.rms * np.sqrt(14 / (density * np.pi * _B2 * self.length**2))


def _zeta(z: np.ndarray, theory: LinearTheory) -> np.ndarray:
    """Return zeta(z) / zeta(0).

    zeta = (18 pi^2 + 82 (Om - 1) - 39 (Om - 1)^2) / Om: Bryan & Norman 1998.
    """

    def zeta(redshift: np.ndarray | float) -> np.ndarray:
        omega = theory.omega_m(redshift)
        return (18 * np.pi**2 + 82 * (omega - 1) - 39 * (omega - 1) ** 2) / omega

    return zeta(z) / zeta(0.0)
