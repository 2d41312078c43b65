"""The host's effect on its subhaloes: infall redshifts, positions and tidal truncation."""

from functools import lru_cache

import numpy as np
import scipy  # its modules are imported when they are used

__all__ = [
    "depth_in_host",
    "infall_redshift",
    "projected_radius",
    "projected_share",
    "roche_radius",
    "whole_radius",
]

CORE = 0.25  # core radius of the subhaloes' distribution, in scale radii of the host
_MIN_INFALL = 0.0  # smallest z_infall - z_lens
_MAX_INFALL = 15.0
_LOG_X = np.linspace(np.log(1e-3), np.log(30.0), 160)  # radii in scale radii of the host
_DEPTHS = np.linspace(0, 1, 129)  # quantiles


def infall_redshift(
    mass: np.ndarray, host_mass: np.ndarray, z_lens: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """Return the redshift (M,) at which subhaloes joined the host.

    z_infall - z_lens is normal, cut to 0..15, with mean 3.355 / (1 + 3.205 s^-2.911) and
    width 1.979 / (1 + 4.174 s^-2.144), s = -log10(m / M_host) between 0.5 and 5. This is
    pyHalo's `HYBRID_INFALL`, fitted to galacticus, of haloes that fell in alone or within
    others.

    Args:
        mass: Masses (M,) at infall [Msun].
        host_mass: Masses (M,) of the hosts [Msun].
        z_lens: Redshifts (M,) of the hosts.
        uniform: Quantiles (M,) in 0..1.
    """
    s = np.clip(-np.log10(mass / host_mass), 0.5, 5.0)
    mean = 3.35549949 / (1 + 3.20546995 * s**-2.91075587)
    width = 1.97880156 / (1 + 4.17390702 * s**-2.14428416)
    low = scipy.special.ndtr((_MIN_INFALL - mean) / width)
    high = scipy.special.ndtr((_MAX_INFALL - mean) / width)
    since = mean + width * scipy.special.ndtri(low + uniform * (high - low))
    return z_lens + np.clip(since, _MIN_INFALL, _MAX_INFALL)


def roche_radius(mass: np.ndarray, r3d: np.ndarray) -> np.ndarray:
    """Return the truncation radius (M,) [kpc] of subhaloes.

    1.4 kpc (m / 1e7 Msun)^(1/3) (r3d / 50 kpc)^(2/3), the Roche limit in an isothermal
    host: Cyr-Racine et al. 2016 (arXiv:1512.05325), Gilman et al. 2020.

    Args:
        mass: Masses (M,) at infall [Msun].
        r3d: Distances (M,) from the host's centre [kpc].

    Example:
        >>> roche_radius(np.array([1e7]), np.array([50.0]))
        array([1.4])
    """
    return 1.4 * np.cbrt(mass / 1e7) * (r3d / 50) ** (2 / 3)


def projected_radius(x_max: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return projected radii (M,) in scale radii of the host, at quantiles of its cored profile.

    rho ~ 1 / ((0.25 + x) (1 + x)^2): Gilman et al. 2020 let subhaloes follow the host
    outside a tidal core.

    Args:
        x_max: Largest radii (M,).
        uniform: Quantiles (M,) in 0..1.
    """
    cumulative = _projected()
    total = np.exp(np.interp(np.log(x_max), _LOG_X, cumulative))
    log_mass = np.log(np.maximum(uniform * total, 1e-300))
    return np.exp(np.interp(log_mass, cumulative, _LOG_X))


def projected_share(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Return the share of the subhaloes within projected radius `outer` that lie within `inner`.

    Radii are in scale radii of the host.
    """
    return np.exp(
        np.interp(np.log(inner), _LOG_X, _projected())
        - np.interp(np.log(outer), _LOG_X, _projected())
    )


def depth_in_host(x: np.ndarray, x_max: float, uniform: np.ndarray) -> np.ndarray:
    """Return radii in three dimensions (M,) of subhaloes at projected radii `x`.

    Args:
        x: Projected radii (M,) in scale radii of the host.
        x_max: Radius at which the host ends, in scale radii.
        uniform: Quantiles (M,) of the depth in 0..1.
    """
    log_x = np.log(np.clip(x, np.exp(_LOG_X[0]), 0.99 * x_max))
    rows = (log_x - _LOG_X[0]) / (_LOG_X[1] - _LOG_X[0])
    columns = uniform * (len(_DEPTHS) - 1)
    return np.hypot(
        x,
        scipy.ndimage.map_coordinates(
            _depths(x_max), [rows, columns], order=1, mode="nearest"
        ),
    )


def whole_radius(x_max: float, uniform: np.ndarray) -> np.ndarray:
    """Return radii in three dimensions (M,) that ignore the projected radius, as pyHalo does.

    They come from the whole host out to `x_max`. Most subhaloes that are seen near the
    middle of the host are then in its outskirts, where tides are weak.
    """
    log_x = np.linspace(np.log(1e-4), np.log(x_max), 4000)
    x = np.exp(log_x)
    cumulative = np.cumsum(x**3 * _density(x))
    return np.exp(np.interp(uniform, cumulative / cumulative[-1], log_x))


def _density(x: np.ndarray) -> np.ndarray:
    return 1 / ((CORE + x) * (1 + x) ** 2)


@lru_cache(maxsize=1)
def _projected() -> np.ndarray:
    """Return ln of the mass inside projected radii _LOG_X."""
    x = np.exp(_LOG_X)
    log_l = np.linspace(np.log(1e-5), np.log(1e4), 4000)
    along = np.exp(log_l)
    surface = np.array(
        [np.trapezoid(_density(np.hypot(radius, along)) * along, log_l) for radius in x]
    )
    rings = surface * x**2
    between = 0.5 * (rings[1:] + rings[:-1]) * np.diff(_LOG_X)
    return np.log(np.cumsum([0.5 * rings[0], *between]))


@lru_cache(maxsize=32)
def _depths(x_max: float) -> np.ndarray:
    """Return the depth |l| at quantiles _DEPTHS, a row for each radius of _LOG_X below `x_max`."""
    table = np.zeros((len(_LOG_X), len(_DEPTHS)))
    for row, x in enumerate(np.exp(_LOG_X)):
        longest = np.sqrt(max(x_max**2 - min(x, 0.99 * x_max) ** 2, 1e-12))
        log_l = np.linspace(np.log(1e-6 * longest), np.log(longest), 2000)
        along = np.exp(log_l)
        weight = _density(np.hypot(x, along)) * along
        cumulative = np.concatenate([[0], np.cumsum(0.5 * (weight[1:] + weight[:-1]))])
        table[row] = np.interp(_DEPTHS * cumulative[-1], cumulative, along)
    return table
