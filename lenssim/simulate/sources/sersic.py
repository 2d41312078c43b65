"""The Sersic profile's normalisation: its flux for a brightness of 1 at R_sersic."""

import numpy as np

__all__ = ["b_n", "unit_flux"]


def b_n(n_sersic: np.ndarray) -> np.ndarray:
    """Return lenstronomy's b_n = 1.9992 n - 0.3271.

    It makes R_sersic nearly the half-light radius.

    Example:
        >>> b_n(np.array([1.0]))
        array([1.6721])
    """
    return np.maximum(1.9992 * n_sersic - 0.3271, 1e-5)


def unit_flux(R_sersic: np.ndarray, n_sersic: np.ndarray) -> np.ndarray:
    """Return the total flux (N,) [arcsec^2] of a profile of brightness 1 at R_sersic.

    2 pi n R^2 e^b b^(-2n) Gamma(2n).
    """
    from scipy.special import gamma

    b = b_n(n_sersic)
    return (
        2
        * np.pi
        * n_sersic
        * R_sersic**2
        * np.exp(b)
        * b ** (-2 * n_sersic)
        * gamma(2 * n_sersic)
    )
