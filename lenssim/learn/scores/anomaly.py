"""Scores of a detector: how usual images are told from all others, and how often it alarms."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from lenssim.intervals import wilson
from lenssim.learn.scores.classification import auc_interval
from lenssim.record import Record

__all__ = [
    "Conditions",
    "areas",
    "conformal_p",
    "counts_at",
    "leaked",
    "outlier_share",
    "rate_interval",
]

_SIGMAS = 1.96
_FAR = 5.0  # robust deviations, beyond which a normal image lies once in a million
_RIDGE = 1e-3
_MAD_TO_SIGMA = 1.4826
_FEWEST = 30  # images for which a regression is fitted


class Conditions(Record):
    """What a usual image's score is expected to be, by its noise, its light and its radius.

    The expectation is a quadratic regression of usual images, and the spread that of its errors.

    Attributes:
        mean: Mean of the conditions (3,).
        spread: Their standard deviations (3,), 0 of those that are constant.
        weights: Weights (10,) of the constant, the conditions, their squares and products.
        error: Standard deviation of the score about the expectation.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    spread: tuple[float, ...] = (0.0, 0.0, 0.0)
    weights: tuple[float, ...] = (0.0,) * 10
    error: float = 1.0

    @classmethod
    def fit(cls, scores: np.ndarray, conditions: np.ndarray) -> Self:
        """Fit to scores (N,) and conditions (N, 3) of usual images.

        Fewer than 30 images have a constant expectation.
        """
        mean = conditions.mean(axis=0)
        spread = conditions.std(axis=0)
        spread[spread < 1e-9 * (1 + np.abs(mean))] = np.inf  # a constant tells nothing
        terms = _terms((conditions - mean) / spread)
        if len(scores) < _FEWEST:
            terms = terms[:, :1]
        centre = scores.mean()
        ridge = _RIDGE * len(scores) * np.eye(terms.shape[1])
        ridge[0, 0] = 0
        solved = np.linalg.solve(terms.T @ terms + ridge, terms.T @ (scores - centre))
        solved[0] += centre
        weights = np.zeros(10)
        weights[: len(solved)] = solved
        error = float((scores - terms @ solved).std()) or 1.0
        finite = np.where(np.isfinite(spread), spread, 0)
        return cls(
            mean=tuple(mean.tolist()),
            spread=tuple(finite.tolist()),
            weights=tuple(weights.tolist()),
            error=error,
        )

    def excess(self, scores: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        """Return how far scores (N,) lie above their expectation, in its standard deviations."""
        spread = np.where(np.asarray(self.spread) > 0, self.spread, np.inf)
        terms = _terms((conditions - np.asarray(self.mean)) / spread)
        return (scores - terms @ np.asarray(self.weights)) / self.error


def _terms(conditions: np.ndarray) -> np.ndarray:
    """Return a constant, conditions (N, 3), their squares and products, (N, 10)."""
    clipped = conditions.clip(-5, 5)
    products = [clipped[:, j] * clipped[:, k] for j in range(3) for k in range(j, 3)]
    return np.column_stack([np.ones(len(clipped)), clipped, *products])


def conformal_p(scores: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return the share of usual scores (M,) that are at least as high as each of (N,).

    The image itself counts with them (Vovk et al. 2005): for an image like the usual ones, p <= a
    has a probability of at most a.

    Example:
        >>> conformal_p(np.array([5.0]), np.arange(9.0)).tolist()
        [0.5]
    """
    ordered = np.sort(usual)
    higher = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return (higher + 1) / (len(ordered) + 1)


def outlier_share(scores: np.ndarray) -> float:
    """Return the share of scores (N,) that lie five robust deviations above the median."""
    offsets = scores - np.median(scores)
    deviation = _MAD_TO_SIGMA * np.median(np.abs(offsets))
    return float((offsets > _FAR * max(deviation, 1e-300)).mean())


def areas(
    labels: np.ndarray, scores: np.ndarray, classes: Sequence[str], usual: str, seed: int
) -> dict[str, dict[str, Any]]:
    """Return the AUC of each class against the usual one, and of all of them, with intervals.

    Args:
        labels: Classes (N,) of the images.
        scores: Scores (N,); higher ones are less usual.
        classes: Names of the classes.
        usual: Name of the usual class.
        seed: Seed of the bootstrap samples.

    Returns:
        `value`, `low` and `high` by class and under `all`; None where no image can tell.
    """
    negative = labels == list(classes).index(usual)
    groups = {name: labels == k for k, name in enumerate(classes) if name != usual}
    groups["all"] = ~negative
    results = {}
    for name, positive in groups.items():
        results[name] = _area(negative, positive, scores, seed)
    return results


def _area(
    negative: np.ndarray, positive: np.ndarray, scores: np.ndarray, seed: int
) -> dict[str, Any]:
    if not positive.any() or not negative.any():
        return {"value": None, "low": None, "high": None}
    rows = negative | positive
    value, (low, high) = auc_interval(positive[rows], scores[rows], seed=seed)
    return {"value": value, "low": low, "high": high}


def counts_at(alarms: np.ndarray, anomalous: np.ndarray) -> dict[str, int]:
    """Return true and false positives and negatives of alarms (N,)."""
    return {
        "TP": int((alarms & anomalous).sum()),
        "FP": int((alarms & ~anomalous).sum()),
        "TN": int((~alarms & ~anomalous).sum()),
        "FN": int((~alarms & anomalous).sum()),
    }


def rate_interval(alarms: np.ndarray) -> dict[str, Any]:
    """Return the share of alarms (N,) with Wilson's 95 % interval; None without images."""
    if not len(alarms):
        return {"value": None, "low": None, "high": None}
    share = alarms.mean()
    low, high = wilson(np.array([share]), np.array([len(alarms)]), _SIGMAS)
    return {"value": float(share), "low": float(low[0]), "high": float(high[0])}


def leaked(document: Mapping[str, Any], classes: Sequence[str]) -> float | None:
    """Return the AUC of all statistics but edges for two classes, from a leak audit."""
    for leak in document.get("leaks", ()):
        if leak["statistic"] == "all but edges" and set(leak["classes"]) == set(classes):
            return max(leak["auc"], 1 - leak["auc"])
    return None
