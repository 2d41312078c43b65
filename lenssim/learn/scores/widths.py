"""Widths of posteriors, compared with those of validation images.

An image without information gets a wide posterior, also where it looks like the training data.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "UNSURE_RATE",
    "are_alike",
    "certainties",
    "remarks_on_alike",
    "share_as_wide",
    "width_quantiles",
]

UNSURE_RATE = 0.1
"""Answers whose errors belong to this share of the largest of the validation are unsure."""

_KNOTS = 101
_ROUNDING = 1e-9
_FEWEST = 5  # answers that are compared with each other
_ALIKE = 0.1  # of the spread of the training


def width_quantiles(sigma: np.ndarray) -> np.ndarray:
    """Return the quantiles of errors, from the smallest to the largest.

    Args:
        sigma: Posterior standard deviations (N, T) of validation images.

    Returns:
        Quantiles (T, 101), each of which is one of the errors.
    """
    levels = np.linspace(0, 1, _KNOTS)
    return np.quantile(sigma, levels, axis=0, method="higher").T


def share_as_wide(sigma: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return the share of validation images whose error is at least as large.

    By exchangeability, an image like those of the validation has a share up to a with a
    probability of about a (Vovk et al. 2005).

    Args:
        sigma: Posterior standard deviations (N, T).
        quantiles: Those of the validation images, as of `width_quantiles` (T, 101).

    Returns:
        Shares (N, T), in steps of one per cent; 0 where no validation image is as wide.

    Example:
        >>> quantiles = width_quantiles(np.arange(101.0)[:, None])
        >>> share_as_wide(np.array([[0.0], [95.5], [200.0]]), quantiles).round(2).ravel().tolist()
        [1.0, 0.05, 0.0]
    """
    smallest = sigma * (1 - _ROUNDING)
    ranks = [
        np.searchsorted(knots, column)
        for knots, column in zip(quantiles, smallest.T, strict=True)
    ]
    return 1 - np.stack(ranks, axis=-1) / _KNOTS


def certainties(
    names: Sequence[str], sigma: np.ndarray, quantiles: np.ndarray
) -> list[dict[str, Any]]:
    """Return how sure answers are, ready for JSON.

    Args:
        names: Names of the T targets.
        sigma: Posterior standard deviations (N, T).
        quantiles: Those of the validation images (T, 101); empty where they are not known.

    Returns:
        For each image, `as_wide_in_validation`, the share of `share_as_wide` by target, and
        `unsure`, the targets of which it is at most `UNSURE_RATE`. Nothing without quantiles.
    """
    if not len(quantiles):
        return [{} for _ in sigma]
    documents = []
    for shares in share_as_wide(sigma, quantiles):
        by_name = dict(zip(names, shares.tolist(), strict=True))
        unsure = [name for name, share in by_name.items() if share <= UNSURE_RATE]
        documents.append({"as_wide_in_validation": by_name, "unsure": unsure})
    return documents


def are_alike(means: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Tell of which targets all answers are nearly the same.

    They are, if five answers or more scatter by less than a tenth of the training targets.

    Args:
        means: Answers (N, T).
        spread: Standard deviations (T,) of the targets of the training.

    Returns:
        Whether the answers are alike, bool (T,).

    Example:
        >>> are_alike(np.array([[1.0, 0.1]] * 5 + [[1.01, 0.9]]), np.array([0.5, 0.5])).tolist()
        [True, False]
    """
    if len(means) < _FEWEST:
        return np.zeros(len(spread), dtype=bool)
    return means.std(axis=0) < _ALIKE * spread


def remarks_on_alike(
    names: Sequence[str], means: np.ndarray, spread: np.ndarray
) -> list[str]:
    """Return a sentence on each target of which all answers are nearly the same.

    Args:
        names: Names of the T targets.
        means: Answers (N, T).
        spread: Standard deviations (T,) of the targets of the training.
    """
    return [
        f"all {len(means)} answers for {names[k]} are nearly the same: they scatter by "
        f"{means[:, k].std():.2g}, and the training data by {spread[k]:.2g}; the network may "
        "not see in these images what it measures"
        for k in np.flatnonzero(are_alike(means, spread)).tolist()
    ]
