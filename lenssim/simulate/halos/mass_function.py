"""Mass functions of haloes, and their suppression at small masses."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.halos.linear import linear_theory

__all__ = [
    "PIVOT",
    "host_scaling",
    "power_law_integral",
    "power_law_mass",
    "sheth_tormen",
    "sheth_tormen_envelope",
    "suppression",
]

PIVOT = 1e8  # Msun
_ENVELOPE_Z = np.linspace(0, 10, 201)

Suppression = Callable[[np.ndarray, np.ndarray], np.ndarray]


def power_law_integral(
    slope: np.ndarray, low: float, high: float, moment: int = 0
) -> np.ndarray:
    """Return the integral of (m / PIVOT)^(slope + moment) dm / PIVOT between two masses.

    Args:
        slope: Exponents, of any shape.
        low: Smallest mass [Msun].
        high: Largest mass [Msun].
        moment: Added to the exponent: 0 for the number, 1 for the mass.

    Returns:
        Integrals, of the shape of `slope`.

    Example:
        >>> power_law_integral(np.array([0.0]), 0.5e8, 2e8)
        array([1.5])
    """
    k = np.asarray(slope, dtype=np.float64) + 1 + moment
    log_low = np.log(low / PIVOT)
    log_high = np.log(high / PIVOT)
    flat = np.abs(k) < 1e-9
    safe = np.where(flat, 1.0, k)
    return np.where(
        flat, log_high - log_low, (np.exp(safe * log_high) - np.exp(safe * log_low)) / safe
    )


def power_law_mass(
    slope: np.ndarray, low: float, high: float, uniform: np.ndarray
) -> np.ndarray:
    """Return masses (M,) [Msun] at quantiles of dN/dm ~ m^slope.

    Args:
        slope: The exponent, one or (M,).
        low: Smallest mass [Msun].
        high: Largest mass [Msun].
        uniform: Quantiles (M,) in 0..1.
    """
    k = np.asarray(slope, dtype=np.float64) + 1
    ratio = np.log(high / low)
    flat = np.abs(k) < 1e-9
    safe = np.where(flat, 1.0, k)
    steps = np.where(
        flat, uniform * ratio, np.log1p(uniform * np.expm1(safe * ratio)) / safe
    )
    return low * np.exp(steps)


def suppression(
    mass: np.ndarray, scale: np.ndarray, amplitude: float, inner: float, outer: float
) -> np.ndarray:
    """Return n / n_CDM = (1 + amplitude (scale / m)^inner)^outer below a cut-off; 1 at scale 0.

    Args:
        mass: Masses (M,) [Msun].
        scale: Mass of the cut-off [Msun].
        amplitude: Factor of the ratio.
        inner: Exponent of the ratio.
        outer: Exponent of the sum.
    """
    return (1 + amplitude * (scale / mass) ** inner) ** outer


def host_scaling(
    host_mass: np.ndarray, z_lens: np.ndarray, by_mass: float, by_redshift: float
) -> np.ndarray:
    """Return F = (M_host / 1e13)^by_mass (z + 0.5)^by_redshift.

    Equation 5 of Gilman et al. 2020 (arXiv:1908.06983).
    """
    return (host_mass / 1e13) ** by_mass * (z_lens + 0.5) ** by_redshift


def sheth_tormen(mass: np.ndarray, z: np.ndarray, cosmology: Cosmology) -> np.ndarray:
    """Return the comoving dn/dm [1 / Mpc^3 / Msun] of haloes, of the shape of the inputs.

    dn/dm = f(nu) rho_m / m^2 |dln sigma / dln m|, f = 2 A sqrt(y / 2 pi) (1 + y^-p) exp(-y
    / 2), y = a nu^2, with A = 0.3222, a = 0.707, p = 0.3: Sheth & Tormen 1999
    (astro-ph/9901122).

    Args:
        mass: Masses [Msun].
        z: Redshifts.
        cosmology: The cosmology.
    """
    theory = linear_theory(cosmology)
    y = 0.707 * theory.peak_height(mass, z) ** 2
    f = 0.3222 * np.sqrt(2 * y / np.pi) * np.exp(-y / 2) * (1 + y**-0.3)
    density = theory.rho_m * theory.h**2  # Msun / Mpc^3
    return f * density / mass**2 * np.abs(theory.slope(mass)) / 3


@lru_cache(maxsize=32)
def _envelope(
    cosmology: Cosmology, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    mass = np.geomspace(low, high, 40)
    x = np.log(mass / PIVOT)
    y = np.log(sheth_tormen(mass, _ENVELOPE_Z[:, None], cosmology))
    slope = (y[:, -1] - y[:, 0]) / (x[-1] - x[0])
    amplitude = (y - slope[:, None] * x).max(1)
    return slope, amplitude


def sheth_tormen_envelope(
    z: np.ndarray, low: float, high: float, cosmology: Cosmology
) -> tuple[np.ndarray, np.ndarray]:
    """Return a power law that lies above `sheth_tormen` from `low` to `high` [Msun].

    Draw masses from it, and retain each with the probability dn/dm over the envelope: they
    follow Sheth & Tormen exactly.

    Returns:
        Slope, and ln amplitude (at PIVOT, in 1 / Mpc^3 / Msun), of the shape of `z`.
    """
    slope, amplitude = _envelope(cosmology, low, high)
    log_amplitude = np.interp(z, _ENVELOPE_Z, amplitude) + 1e-3  # covers the interpolation
    return np.interp(z, _ENVELOPE_Z, slope), log_amplitude
