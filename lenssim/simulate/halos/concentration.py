"""Concentrations of haloes: the median relation in cold dark matter, and its suppression."""

from functools import lru_cache

import numpy as np
import scipy  # its modules are imported when they are used

from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.halos.linear import linear_theory

__all__ = ["LOWEST", "concentration", "power_suppression"]

LOWEST = 1.2  # smallest concentration of a halo
_LOG_M = np.arange(3.0, 15.51, 0.1)  # dex(Msun)
_LOG_1Z = np.linspace(0, np.log(22.0), 120)  # ln(1 + z)
# Diemer & Joyce 2019, median
_KAPPA = 0.41
_A0 = 2.45
_A1 = 1.82
_B0 = 3.20
_B1 = 2.30
_C_ALPHA = 0.21


def concentration(mass: np.ndarray, z: np.ndarray, cosmology: Cosmology) -> np.ndarray:
    """Return the median c_200c (M,) of haloes: Diemer & Joyce 2019 (arXiv:1809.07326).

    It is interpolated in a table over 1e3 to 3e15 Msun and redshifts to 21. It is within
    0.6 % of colossus 1.4.0, which includes radiation in the growth, and not below 1.2.

    Args:
        mass: Masses M_200c (M,) [Msun].
        z: Redshifts (M,).
        cosmology: The cosmology.
    """
    rows = (np.log10(mass) - _LOG_M[0]) / (_LOG_M[1] - _LOG_M[0])
    columns = np.log1p(z) / _LOG_1Z[1]
    return np.exp(
        scipy.ndimage.map_coordinates(
            _table(cosmology), [rows, columns], order=1, mode="nearest"
        )
    )


@lru_cache(maxsize=8)
def _table(cosmology: Cosmology) -> np.ndarray:
    """Return ln c over (_LOG_M, _LOG_1Z)."""
    theory = linear_theory(cosmology)
    mass = 10**_LOG_M
    z = np.expm1(_LOG_1Z)
    nu = theory.peak_height(mass[:, None], z)
    n_eff = -2 * theory.slope(mass, _KAPPA) - 3
    c_alpha = 1 - _C_ALPHA * (1 - theory.growth_rate(z))
    a_n = _A0 * (1 + _A1 * (n_eff + 3))
    b_n = _B0 * (1 + _B1 * (n_eff + 3))
    target = np.log(a_n[:, None] / nu * (1 + nu**2 / b_n[:, None]))
    log_c = np.linspace(np.log(0.1), np.log(1000), 2000)
    c = np.exp(log_c)
    mu = np.log1p(c) - c / (1 + c)
    table = np.empty_like(target)
    # c / mu(c)^((5 + n) / 6) = target, equation 28; it rises beyond its minimum
    for i, n in enumerate(n_eff):
        log_target = log_c - (5 + n) / 6 * np.log(mu)
        start = int(np.argmin(log_target))
        table[i] = np.interp(target[i], log_target[start:], log_c[start:])
    return np.maximum(table + np.log(c_alpha), np.log(LOWEST))


def power_suppression(
    mass: np.ndarray, scale: np.ndarray, amplitude: float, inner: float, outer: float
) -> np.ndarray:
    """Return c / c_CDM (M,) = (1 + amplitude (scale / m)^inner)^outer; 1 at scale 0.

    (60, 1, -0.17) is for warm dark matter of half-mode mass `scale`: Bose et al. 2016
    (arXiv:1507.01998), without their evolution with redshift, which is below 5 %. (21.42,
    1.62, -0.42) is for ultra-light dark matter and the scale of Schive et al. 2016: Laroche
    et al. 2022 (MNRAS 517, 1867).

    Args:
        mass: Masses (M,) [Msun].
        scale: Mass of the cut-off [Msun].
        amplitude: Factor of the ratio.
        inner: Exponent of the ratio.
        outer: Exponent of the sum.

    Example:
        >>> power_suppression(np.array([1e8]), np.array([0.0]), 60, 1, -0.17)
        array([1.])
    """
    return (1 + amplitude * (scale / mass) ** inner) ** outer
