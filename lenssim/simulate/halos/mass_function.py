"""Mass functions: how many haloes of which mass, and what their suppression leaves of them."""

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
    """Integral of (m / PIVOT)^slope (m / PIVOT)^moment dm / PIVOT between masses [Msun]; same shape as `slope`."""
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
    """Masses [Msun] (M,) at the quantiles `uniform` (M,) of dN/dm ~ m^slope; `slope` is a number or (M,)."""
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
    """n / n_CDM = (1 + amplitude (scale / m)^inner)^outer below a cut-off of mass `scale`; 1 at scale 0."""
    return (1 + amplitude * (scale / mass) ** inner) ** outer


def host_scaling(
    host_mass: np.ndarray, z_lens: np.ndarray, by_mass: float, by_redshift: float
) -> np.ndarray:
    """F = (M_host / 1e13)^k1 (z + 0.5)^k2, equation 5 of Gilman et al. 2020 (arXiv:1908.06983)."""
    return (host_mass / 1e13) ** by_mass * (z_lens + 0.5) ** by_redshift


def sheth_tormen(mass: np.ndarray, z: np.ndarray, cosmology: Cosmology) -> np.ndarray:
    """Comoving dn/dm [1 / Mpc^3 / Msun] of haloes: Sheth & Tormen 1999 (astro-ph/9901122), same shape as the inputs.

    dn/dm = f(nu) rho_m / m^2 |dln sigma / dln m|, f = 2 A sqrt(y / 2 pi) (1 + y^-p) exp(-y / 2), y = a nu^2, with
    A = 0.3222, a = 0.707, p = 0.3.
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
    """Slope and ln amplitude (at PIVOT, 1 / Mpc^3 / Msun) of a power law above `sheth_tormen` from `low` to `high`.

    Masses drawn from it and kept with probability dn/dm over the envelope follow Sheth & Tormen exactly.
    """
    slope, amplitude = _envelope(cosmology, low, high)
    log_amplitude = np.interp(z, _ENVELOPE_Z, amplitude) + 1e-3  # covers the interpolation
    return np.interp(z, _ENVELOPE_Z, slope), log_amplitude
