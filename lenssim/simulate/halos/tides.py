"""What the host does to its subhaloes: when they fell in, where they are, and where tides cut them."""

from functools import lru_cache

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.special import ndtr, ndtri

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
    """Redshift (M,) at which subhaloes of infall `mass` [Msun] joined the host; `uniform` (M,) in 0..1 decides.

    z_infall - z_lens is normal, cut to 0..15, with mean 3.355 / (1 + 3.205 s^-2.911) and width
    1.979 / (1 + 4.174 s^-2.144), s = -log10(m / M_host) between 0.5 and 5: pyHalo's `HYBRID_INFALL`, fitted to
    galacticus, of haloes that fell in alone or within others.
    """
    s = np.clip(-np.log10(mass / host_mass), 0.5, 5.0)
    mean = 3.35549949 / (1 + 3.20546995 * s**-2.91075587)
    width = 1.97880156 / (1 + 4.17390702 * s**-2.14428416)
    low = ndtr((_MIN_INFALL - mean) / width)
    high = ndtr((_MAX_INFALL - mean) / width)
    since = mean + width * ndtri(low + uniform * (high - low))
    return z_lens + np.clip(since, _MIN_INFALL, _MAX_INFALL)


def roche_radius(mass: np.ndarray, r3d: np.ndarray) -> np.ndarray:
    """Truncation radius 1.4 kpc (m / 1e7 Msun)^(1/3) (r3d / 50 kpc)^(2/3), (M,), of subhaloes at `r3d` [kpc].

    The Roche limit in an isothermal host: Cyr-Racine et al. 2016 (arXiv:1512.05325), Gilman et al. 2020. `mass` is
    that at infall.
    """
    return 1.4 * np.cbrt(mass / 1e7) * (r3d / 50) ** (2 / 3)


def projected_radius(x_max: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Projected radii in scale radii of the host, drawn from its cored profile within `x_max`; all (M,).

    rho ~ 1 / ((0.25 + x) (1 + x)^2): Gilman et al. 2020 let subhaloes follow the host outside a tidal core.
    """
    cumulative = _projected()
    total = np.exp(np.interp(np.log(x_max), _LOG_X, cumulative))
    log_mass = np.log(np.maximum(uniform * total, 1e-300))
    return np.exp(np.interp(log_mass, cumulative, _LOG_X))


def projected_share(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Share of the subhaloes within projected radius `outer` that lie within `inner`; in scale radii of the host."""
    return np.exp(
        np.interp(np.log(inner), _LOG_X, _projected())
        - np.interp(np.log(outer), _LOG_X, _projected())
    )


def depth_in_host(x: np.ndarray, x_max: float, uniform: np.ndarray) -> np.ndarray:
    """Radii in three dimensions (M,) of subhaloes seen at projected radius `x`, in a host that ends at `x_max`.

    Drawn from the density along the line of sight, rho(sqrt(x^2 + l^2)); lengths in scale radii of the host.
    """
    log_x = np.log(np.clip(x, np.exp(_LOG_X[0]), 0.99 * x_max))
    rows = (log_x - _LOG_X[0]) / (_LOG_X[1] - _LOG_X[0])
    columns = uniform * (len(_DEPTHS) - 1)
    return np.hypot(
        x, map_coordinates(_depths(x_max), [rows, columns], order=1, mode="nearest")
    )


def whole_radius(x_max: float, uniform: np.ndarray) -> np.ndarray:
    """Radii in three dimensions (M,) from the whole host out to `x_max`, whatever the projected radius: pyHalo's way.

    It puts most subhaloes that are seen in the middle of the host to its outskirts, where tides are weak.
    """
    log_x = np.linspace(np.log(1e-4), np.log(x_max), 4000)
    x = np.exp(log_x)
    cumulative = np.cumsum(x**3 * _density(x))
    return np.exp(np.interp(uniform, cumulative / cumulative[-1], log_x))


def _density(x: np.ndarray) -> np.ndarray:
    return 1 / ((CORE + x) * (1 + x) ** 2)


@lru_cache(maxsize=1)
def _projected() -> np.ndarray:
    """ln of the mass inside projected radii _LOG_X."""
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
    """Depth |l| at quantiles _DEPTHS, a row for each projected radius of _LOG_X below `x_max`."""
    table = np.zeros((len(_LOG_X), len(_DEPTHS)))
    for row, x in enumerate(np.exp(_LOG_X)):
        longest = np.sqrt(max(x_max**2 - min(x, 0.99 * x_max) ** 2, 1e-12))
        log_l = np.linspace(np.log(1e-6 * longest), np.log(longest), 2000)
        along = np.exp(log_l)
        weight = _density(np.hypot(x, along)) * along
        cumulative = np.concatenate([[0], np.cumsum(0.5 * (weight[1:] + weight[:-1]))])
        table[row] = np.interp(_DEPTHS * cumulative[-1], cumulative, along)
    return table
