"""Intervals of shares: what a count of successes says of their probability."""

import numpy as np

__all__ = ["wilson"]


def wilson(
    share: np.ndarray, count: np.ndarray, sigmas: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval (1927) for shares.

    It is valid near 0 and 1, where the normal interval vanishes.

    Args:
        share: Shares (N,) of successes.
        count: Numbers (N,) of trials, above 0.
        sigmas: Half the width, in standard deviations: 1.96 for 95 %.

    Returns:
        Lower and upper ends (N,).

    Example:
        >>> low, high = wilson(np.array(0.0), np.array(9))
        >>> float(low), round(float(high), 3)
        (0.0, 0.1)
    """
    squared = sigmas**2
    centre = (share + 0.5 * squared / count) / (1 + squared / count)
    spread = np.sqrt(share * (1 - share) / count + 0.25 * squared / count**2)
    half = sigmas * spread / (1 + squared / count)
    return np.minimum(centre - half, share), np.maximum(centre + half, share)
