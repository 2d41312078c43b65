"""Shapes of galaxies."""

import numpy as np

__all__ = ["axis_ratios"]

_FLATTEST = 0.2


def axis_ratios(rng: np.random.Generator, width: np.ndarray) -> np.ndarray:
    """Draw axis ratios q of at least 0.2, of Rayleigh-distributed 1 - q.

    Args:
        rng: Generator of random numbers.
        width: Widths (N,) of the distributions.

    Returns:
        Axis ratios (N,).

    Example:
        >>> ratios = axis_ratios(np.random.default_rng(0), np.full(1000, 0.3))
        >>> bool((ratios >= 0.2).all() and (ratios <= 1).all())
        True
    """
    # the distribution function of a truncated Rayleigh distribution, inverted
    largest = -np.expm1(-((1 - _FLATTEST) ** 2) / (2 * width**2))
    return 1 - width * np.sqrt(-2 * np.log1p(-rng.random(len(width)) * largest))
