"""Means and medians without masked values, which are NaN, and without warnings."""

import numpy as np

__all__ = ["masked_mean", "masked_median"]


def masked_mean(values: np.ndarray) -> np.ndarray:
    """Return means (...) over the last axis of values (..., n), NaN where all are masked.

    Example:
        >>> masked_mean(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])).tolist()
        [2.0, nan]
    """
    good = np.isfinite(values)
    count = good.sum(-1)
    total = np.where(good, values, 0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def masked_median(values: np.ndarray) -> np.ndarray:
    """Return medians (...) over the last axis of values (..., n), NaN where all are masked.

    Example:
        >>> masked_median(np.array([[1.0, np.nan, 3.0, 9.0], [np.nan] * 4])).tolist()
        [3.0, nan]
    """
    good = np.isfinite(values)
    count = good.sum(-1, keepdims=True)
    ordered = np.sort(np.where(good, values, np.inf), axis=-1)
    final = ordered.shape[-1] - 1
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, -1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, final), -1)
    middle = np.where(count > 0, (low + high) / 2, np.nan)
    return middle[..., 0]
