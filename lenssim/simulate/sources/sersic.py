"""The Sersic profile's normalisation: from a magnitude to the brightness at R_sersic."""

import numpy as np

__all__ = ["b_n", "sersic_amplitude", "unit_flux"]


def b_n(n_sersic: np.ndarray) -> np.ndarray:
    """lenstronomy's b_n = 1.9992 n - 0.3271, which makes R_sersic nearly the half-light radius."""
    return np.maximum(1.9992 * n_sersic - 0.3271, 1e-5)


def unit_flux(R_sersic: np.ndarray, n_sersic: np.ndarray) -> np.ndarray:
    """Total flux (N,) [arcsec^2] of a profile of brightness 1 at R_sersic: 2 pi n R^2 e^b b^(-2n) Gamma(2n)."""
    from scipy.special import gamma

    b = b_n(n_sersic)
    return 2 * np.pi * n_sersic * R_sersic**2 * np.exp(b) * b ** (-2 * n_sersic) * gamma(2 * n_sersic)


def sersic_amplitude(
    magnitude: np.ndarray, zero_point: float, R_sersic: np.ndarray, n_sersic: np.ndarray
) -> np.ndarray:
    """Surface brightness (N,) at R_sersic, in e-/s/arcsec^2, of a Sersic source of a given total magnitude.

    `zero_point` is the magnitude of 1 e-/s.
    """
    return 10 ** (-0.4 * (magnitude - zero_point)) / unit_flux(R_sersic, n_sersic)
