"""Early-type galaxies: how bright and how large one of a velocity dispersion is, and its light as Gaussians."""

from functools import lru_cache

import numpy as np

from lenssim.simulate.cosmology import ARCSEC_PER_RADIAN, C, Cosmology

__all__ = [
    "GAUSSIANS",
    "absolute_magnitude",
    "effective_radius",
    "gaussians",
    "isothermal_dispersion",
    "isothermal_radius",
]

CALIBRATED = (100.0, 400.0)  # km/s, where the relations were measured
GAUSSIANS = 10
_INNER = 0.02  # R_e, radius of the narrowest Gaussian
_OUTER = 8.0


def _log10_dispersion(sigma_v: np.ndarray) -> np.ndarray:
    return np.log10(np.clip(sigma_v, *CALIBRATED))


def absolute_magnitude(sigma_v: np.ndarray) -> np.ndarray:
    """Return the mean absolute magnitude in SDSS r at rest (Hyde & Bernardi 2009).

    log10 sigma_v = -2.97 - 0.37 M - 0.006 M^2, the relation that Collett 2015 inverts. The
    scatter is 0.0625 mag at a given dispersion. Outside 100 to 400 km/s, where nothing was
    measured, the value at the nearer end is returned.

    Args:
        sigma_v: Velocity dispersions (N,) [km/s].

    Example:
        >>> absolute_magnitude(np.array([220.0])).round(2)
        array([-22.75])
    """
    log_sigma = _log10_dispersion(sigma_v)
    return (-0.37 + np.sqrt(0.37**2 - 0.024 * (2.97 + log_sigma))) / 0.012


def effective_radius(sigma_v: np.ndarray) -> np.ndarray:
    """Return the mean effective radius [kpc] (Hyde & Bernardi 2009).

    log10 R = 2.46 - 2.79 log10 sigma_v + 0.84 (log10 sigma_v)^2, with a scatter of 0.11 dex.

    Args:
        sigma_v: Velocity dispersions (N,) [km/s].

    Example:
        >>> effective_radius(np.array([220.0])).round(2)
        array([3.42])
    """
    log_sigma = _log10_dispersion(sigma_v)
    return 10 ** (2.46 - 2.79 * log_sigma + 0.84 * log_sigma**2)


def isothermal_dispersion(
    theta_E: np.ndarray, z_lens: np.ndarray, z_source: np.ndarray, cosmology: Cosmology
) -> np.ndarray:
    """Return the velocity dispersion (N,) [km/s] of an isothermal lens.

    sigma_v^2 = c^2 theta_E D_s / (4 pi D_ls).

    Args:
        theta_E: Einstein radii (N,) [arcsec] for sources at `z_source`.
        z_lens: Redshifts (N,).
        z_source: Redshifts (N,) that the Einstein radii are stated for.
        cosmology: The cosmology.

    Example:
        >>> z = np.array([0.5]), np.array([1.0])
        >>> isothermal_dispersion(np.array([1.0]), *z, Cosmology(H0=70, Om0=0.3, Ob0=0.05)).round(0)
        array([285.])
    """
    source = cosmology.comoving_distance(z_source)
    ratio = (source - cosmology.comoving_distance(z_lens)) / source
    return C * np.sqrt(theta_E / ARCSEC_PER_RADIAN / ratio / (4 * np.pi))


def isothermal_radius(
    sigma_v: np.ndarray, z_lens: np.ndarray, z_source: np.ndarray, cosmology: Cosmology
) -> np.ndarray:
    """Return the Einstein radius (N,) [arcsec] of an isothermal lens.

    theta_E = 4 pi (sigma_v / c)^2 D_ls / D_s.

    Args:
        sigma_v: Velocity dispersions (N,) [km/s].
        z_lens: Redshifts (N,).
        z_source: Redshifts (N,) that the Einstein radii are stated for.
        cosmology: The cosmology.

    Example:
        >>> z = np.array([0.5]), np.array([2.5])
        >>> isothermal_radius(np.array([260.0]), *z, Cosmology(H0=70, Om0=0.3, Ob0=0)).round(3)
        array([1.318])
    """
    ratio = cosmology.distance_ratio(z_lens, z_source)
    return 4 * np.pi * (sigma_v / C) ** 2 * ratio * ARCSEC_PER_RADIAN


@lru_cache(maxsize=1)
def gaussians() -> tuple[np.ndarray, np.ndarray]:
    """Return de Vaucouleurs's profile as ten Gaussians.

    The flux of Gaussians whose widths rise evenly in the logarithm is fitted to the
    profile between 0.02 and 8 effective radii, without negative ones (Cappellari 2002).

    Returns:
        Shares (10,) of the flux and half-light radii (10,) in effective radii.

    Example:
        >>> shares, radii = gaussians()
        >>> float(shares.sum().round(9)), len(radii)
        (1.0, 10)
    """
    from scipy.optimize import nnls

    radii = np.geomspace(_INNER, _OUTER, 400)
    b = 1.9992 * 4 - 0.3271
    profile = np.exp(-b * (radii**0.25 - 1))
    half_light = np.geomspace(1.5 * _INNER, 0.8 * _OUTER, GAUSSIANS)
    sigma2 = half_light**2 / (2 * np.log(2))
    columns = np.exp(-0.5 * radii[:, None] ** 2 / sigma2) / sigma2
    shares, _ = nnls(columns / profile[:, None], np.ones(len(radii)))
    return shares / shares.sum(), half_light
