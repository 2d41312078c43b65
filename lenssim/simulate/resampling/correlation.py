"""Correlated noise in closed form: what drizzling and interpolation do to white noise."""

from functools import lru_cache

import numpy as np

__all__ = [
    "correlation_of_taps",
    "drizzle_correlation",
    "drizzle_taps",
    "resampling_loss",
    "spline_correlation",
    "spline_taps",
]

_NEGLIGIBLE = 1e-6  # correlations below this end the table
_MAX_TAPS = 64


def drizzle_correlation(ratio: float) -> np.ndarray:
    """Return the correlation rho_k of drizzled noise along one axis, k = 0, 1, ... (K,).

    A native pixel of side p falls on output pixels of side s at a random phase. Their overlap
    is o = box_p * box_s, a trapezoid, and rho_k = (o * o)(k s) / (o * o)(0). In two dimensions
    the correlation is the product of both axes. Its sum over all k is Fruchter & Hook's (2002)
    R: r / (1 - 1 / (3 r)) for r = p / s >= 1, and 1 / (1 - r / 3) below.

    Args:
        ratio: Side p of a dropped pixel (pixfrac times native), in output pixels s.

    Example:
        >>> drizzle_correlation(1.0).round(4)
        array([1.  , 0.25])
    """
    lags = np.arange(int(np.ceil(ratio + 1)))
    overlap = _trapezoid_product(lags, ratio)
    correlation = overlap / overlap[0]
    return correlation[: max(1, (correlation > _NEGLIGIBLE).sum())]


def _trapezoid_product(lags: np.ndarray, ratio: float) -> np.ndarray:
    """Return (o * o)(lags), the fourth-order spline of box_1 * box_1 * box_r * box_r.

    It is the second difference, by both widths, of |x|^3 / 12.
    """
    total = np.zeros(len(lags))
    for shift, weight in ((-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)):
        for wide, factor in ((-ratio, 1.0), (0.0, -2.0), (ratio, 1.0)):
            total += weight * factor * np.abs(lags + shift + wide) ** 3 / 12
    return total


def spline_correlation(ratio: float) -> np.ndarray:
    """Return the correlation rho_k of bilinearly interpolated noise along one axis (K,).

    rho_k = B(k s / p) / B(0), with the cubic B-spline B, for native pixels of side p that are
    interpolated at output pixels of side s and a random phase.

    Args:
        ratio: Side p of a native pixel, in output pixels s.

    Example:
        >>> spline_correlation(3.0).round(3)[:3]
        array([1.   , 0.861, 0.556])
    """
    lags = np.arange(int(np.ceil(2 * ratio))) / ratio
    near = 2 / 3 - lags**2 + lags**3 / 2
    far = (2 - lags).clip(min=0) ** 3 / 6
    spline = np.where(lags < 1, near, far)
    correlation = spline / spline[0]
    return correlation[: max(1, (correlation > _NEGLIGIBLE).sum())]


def resampling_loss(taps: np.ndarray) -> float:
    """Return the rms of correlated noise over that of the weight map, sigma_pixel / sigma.

    Averages over large areas keep the variance of the weight map. Therefore the ratio is
    1 / sum_k rho_k = 1 / R in each axis's square root, and 1 / R in two dimensions.

    Example:
        >>> round(resampling_loss(drizzle_taps(1.0)), 4)
        0.6667
    """
    correlation = correlation_of_taps(taps)
    return float(1 / (2 * correlation.sum() - 1))


def correlation_of_taps(taps: np.ndarray) -> np.ndarray:
    """Return the correlation rho_k (K,) of white noise that was filtered by taps (K,)."""
    full = np.correlate(taps, taps, mode="full")[len(taps) - 1 :]
    return full / full[0]


@lru_cache(maxsize=64)
def drizzle_taps(ratio: float) -> np.ndarray:
    """Return the filter (K,) of sum of squares 1 whose noise has `drizzle_correlation`.

    Example:
        >>> drizzle_taps(1.0).round(4)  # sin and cos of 15 degrees
        array([0.2588, 0.9659])
    """
    return _taps(drizzle_correlation(ratio))


@lru_cache(maxsize=64)
def spline_taps(ratio: float) -> np.ndarray:
    """Return the filter (K,) of sum of squares 1 whose noise has `spline_correlation`."""
    return _taps(spline_correlation(ratio))


def _taps(correlation: np.ndarray) -> np.ndarray:
    """Return the minimum-phase factor (K,) of a correlation (K,): Fejer and Riesz's theorem.

    The polynomial sum_k rho_|k| z^k has its zeros in pairs z, 1 / z. The factor has those
    inside the unit circle. Zeros on the circle are double, and each pair gives one.
    """
    length = len(correlation)
    if length == 1:
        return np.ones(1)
    if length > _MAX_TAPS:
        raise ValueError(f"noise correlated over {length} pixels is beyond {_MAX_TAPS}")
    from scipy.linalg import cholesky_banded

    # Bauer's method: rows of the Cholesky factor of the Toeplitz matrix tend to the factor
    size = max(2000, 60 * length)
    bands = np.repeat(correlation[:, None], size, axis=1)
    bands[0] += 1e-9
    factor = cholesky_banded(bands, lower=True)
    taps = factor[:, -length][::-1]
    taps = taps / np.sqrt((taps**2).sum())
    taps.flags.writeable = False
    return taps
