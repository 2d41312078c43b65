"""Scores of a classifier on held-out samples, each with its bootstrap interval."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtri

__all__ = [
    "as_document",
    "auc_interval",
    "bootstrap",
    "calibration_bins",
    "classification_scores",
    "interval_text",
    "resampled_scores",
]

_CALIBRATION_BINS = 15
_WEIGHTS_PER_CHUNK = 2**22
_AUC_RESAMPLES = 500
_MIN_PROBABILITY = np.finfo(np.float64).eps


def classification_scores(
    labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, np.ndarray]:
    """Score probabilities with scikit-learn.

    Args:
        labels: True classes (N,).
        probabilities: Probabilities (N, K) of the classes.

    Returns:
        `loss` (cross entropy, nats), `accuracy`, `auc` (K,) of each class against the others,
        `macro_auc` their mean, `ece` (expected calibration error of the most probable class, 15
        bins), and `confusion` (K, K) counts with true classes down. AUCs are NaN where a class is
        absent.

    Example:
        >>> scores = classification_scores(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
        >>> float(scores["accuracy"]), float(scores["macro_auc"])
        (1.0, 1.0)
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

    probabilities = _normalised(probabilities)
    classes = np.arange(probabilities.shape[1])
    auc = [_class_auc(labels == k, probabilities[:, k]) for k in classes]
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    correct = predicted == labels
    gaps = np.bincount(_bin(confidence), confidence - correct, minlength=_CALIBRATION_BINS)
    return {
        "loss": np.asarray(log_loss(labels, probabilities, labels=classes)),
        "accuracy": np.asarray(accuracy_score(labels, predicted)),
        "auc": np.asarray(auc),
        "macro_auc": np.asarray(np.mean(auc)),
        "ece": np.asarray(np.abs(gaps).sum() / len(labels)),
        "confusion": confusion_matrix(labels, predicted, labels=classes),
    }


def _class_auc(positive: np.ndarray, score: np.ndarray) -> float:
    if positive.all() or not positive.any():
        return np.nan
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(positive, score)


def resampled_scores(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the scores of `classification_scores` for B weightings of the samples at once.

    Args:
        labels: True classes (N,).
        probabilities: Probabilities (N, K) of the classes.
        weights: How often each sample counts, (B, N). Ones give the scores themselves.

    Returns:
        The scores, each with a first axis B.
    """
    probabilities = _normalised(probabilities)
    samples, classes = probabilities.shape
    weights = weights.astype(np.float64)
    total = weights.sum(axis=1)
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    correct = predicted == labels
    true_probability = probabilities[np.arange(samples), labels]
    surprise = -np.log(np.clip(true_probability, _MIN_PROBABILITY, 1))
    auc = np.stack(
        [_auc(labels == k, probabilities[:, k], weights) for k in range(classes)], axis=1
    )
    excess = (confidence - correct)[:, None]
    gaps = weights @ (np.eye(_CALIBRATION_BINS)[_bin(confidence)] * excess)
    confusion = weights @ np.eye(classes**2)[labels * classes + predicted]
    return {
        "loss": weights @ surprise / total,
        "accuracy": weights @ correct / total,
        "auc": auc,
        "macro_auc": auc.mean(axis=1),
        "ece": np.abs(gaps).sum(axis=1) / total,
        "confusion": confusion.reshape(-1, classes, classes),
    }


def bootstrap(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return percentile intervals (low, high) of every score over bootstrap samples.

    Args:
        labels: True classes (N,).
        probabilities: Probabilities (N, K) of the classes.
        resamples: Number of bootstrap samples.
        level: Probability of the intervals.
        seed: Seed of the bootstrap samples.

    Returns:
        The interval of each score of `classification_scores`, by name.
    """
    size = len(labels)
    rng = np.random.default_rng(seed)
    rows = max(1, _WEIGHTS_PER_CHUNK // size)
    chunks = []
    for start in range(0, resamples, rows):
        weights = [
            np.bincount(rng.integers(size, size=size), minlength=size)
            for _ in range(min(rows, resamples - start))
        ]
        chunks.append(resampled_scores(labels, probabilities, np.stack(weights)))
    percentiles = 100 * np.array([(1 - level) / 2, (1 + level) / 2])
    return {
        name: _percentile_interval(
            np.concatenate([chunk[name] for chunk in chunks]), percentiles
        )
        for name in chunks[0]
    }


def _percentile_interval(
    values: np.ndarray, percentiles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentiles of values (B, ...), without resamples that have no AUC."""
    undefined = np.isnan(values.reshape(len(values), -1)).any(axis=1)
    if not undefined.all():
        values = values[~undefined]
    low, high = np.percentile(values, percentiles, axis=0)
    return low, high


def calibration_bins(
    labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, np.ndarray]:
    """Return confidence, accuracy and count of the most probable class, by bin of confidence.

    Args:
        labels: True classes (N,).
        probabilities: Probabilities (N, K) of the classes.

    Returns:
        One value for each bin that is not empty.
    """
    probabilities = _normalised(probabilities)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = _bin(confidence)
    count = np.bincount(bins, minlength=_CALIBRATION_BINS)
    total_confidence = np.bincount(bins, confidence, minlength=_CALIBRATION_BINS)
    total_correct = np.bincount(bins, correct, minlength=_CALIBRATION_BINS)
    filled = count > 0
    return {
        "confidence": total_confidence[filled] / count[filled],
        "accuracy": total_correct[filled] / count[filled],
        "count": count[filled],
    }


def auc_interval(
    truth: np.ndarray,
    score: np.ndarray,
    quantiles: tuple[float, ...] = (0.025, 0.975),
    seed: int = 0,
) -> tuple[float, tuple[float, ...]]:
    """Return an AUC and quantiles of its distribution.

    The distribution is taken as normal, with the variance of bootstrap samples.

    Args:
        truth: Whether each sample is positive, bool (N,).
        score: Scores (N,).
        quantiles: The quantiles to return.
        seed: Seed of the bootstrap samples.

    Returns:
        The AUC and its quantiles.

    Example:
        >>> auc_interval(np.array([False, False, True, True]), np.arange(4))
        (1.0, (1.0, 1.0))
    """
    rng = np.random.default_rng(seed)
    ranks = np.unique(score, return_inverse=True)[1]  # equal scores stay equal
    positive = ranks[truth]
    negative = ranks[~truth]
    resampled = []
    for _ in range(_AUC_RESAMPLES):
        high = rng.choice(positive, len(positive))
        low = np.sort(rng.choice(negative, len(negative)))
        lower = [np.searchsorted(low, high, side=side) for side in ("left", "right")]
        resampled.append(np.mean(lower) / len(low))
    from sklearn.metrics import roc_auc_score

    auc = float(roc_auc_score(truth, score))
    spread = float(np.std(resampled))
    ends = [float(np.clip(auc + spread * ndtri(q), 0, 1)) for q in quantiles]
    return auc, tuple(ends)


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    """Normalise probabilities: single precision leaves errors of 1e-7."""
    probabilities = np.asarray(probabilities, np.float64)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def _bin(confidence: np.ndarray) -> np.ndarray:
    bins = (confidence * _CALIBRATION_BINS).astype(np.int64)
    return np.minimum(bins, _CALIBRATION_BINS - 1)


def _auc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the AUC (B,) under weights (B, N).

    It is the weighted share of (positive, negative) pairs in the correct order; ties count half.
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    positives = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
    negatives = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
    lower = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    with np.errstate(invalid="ignore"):
        ordered = np.where(pairs > 0, (positives * lower).sum(axis=1), np.nan)
        return ordered / np.where(pairs > 0, pairs, 1)


def as_document(
    scores: dict[str, Any], intervals: dict[str, Any], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Return scores and intervals for JSON: {name: {value, low, high}}, AUCs by class.

    A number that is not defined becomes None.
    """
    document: dict[str, Any] = {}
    for name, value in scores.items():
        low, high = intervals[name]
        ends = {"value": value, "low": low, "high": high}
        if name == "auc":
            document[name] = {
                label: {end: _plain(values[k]) for end, values in ends.items()}
                for k, label in enumerate(classes)
            }
        else:
            document[name] = {end: _plain(values) for end, values in ends.items()}
    return document


def interval_text(score: Mapping[str, Any], digits: int = 4) -> str:
    """Return a score with its interval as text.

    Example:
        >>> interval_text({"value": 0.9123, "low": 0.9001, "high": 0.9230})
        '0.9123 [0.9001, 0.9230]'
    """
    if score["value"] is None:
        return "not defined"
    value, low, high = (f"{score[end]:.{digits}f}" for end in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return [_plain(item) for item in value]
    number = value.item()
    if number != number:
        return None
    return number
