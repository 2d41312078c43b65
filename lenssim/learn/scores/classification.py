"""Scores of a classifier on held-out samples, each with its bootstrap interval."""

from typing import Any

import numpy as np
from scipy.special import ndtri
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, roc_auc_score

__all__ = [
    "as_document",
    "auc_interval",
    "bootstrap",
    "calibration_bins",
    "classification_scores",
    "interval_text",
    "resampled_scores",
]

_BINS = 15
_CHUNK = 2**22  # entries of the weight table that are worked on at a time
_RESAMPLES = 500
_TINY = np.finfo(np.float64).eps


def classification_scores(
    labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores of probabilities (N, K) for labels (N,), by scikit-learn.

    `loss` (cross entropy, nats), `accuracy`, `auc` (K,) of each class against the rest, `macro_auc` their mean, `ece`
    (expected calibration error of the most probable class, 15 bins), `confusion` (K, K) counts, true classes down.
    AUCs are NaN where a class is absent.
    """
    probabilities = _proper(probabilities)
    classes = np.arange(probabilities.shape[1])
    present = [0 < (labels == k).sum() < len(labels) for k in classes]
    auc = [
        roc_auc_score(labels == k, probabilities[:, k]) if present[k] else np.nan
        for k in classes
    ]
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    gaps = np.bincount(_bin(confidence), confidence - correct, minlength=_BINS)
    return {
        "loss": np.asarray(log_loss(labels, probabilities, labels=classes)),
        "accuracy": np.asarray(accuracy_score(labels, probabilities.argmax(axis=1))),
        "auc": np.asarray(auc),
        "macro_auc": np.asarray(np.mean(auc)),
        "ece": np.asarray(np.abs(gaps).sum() / len(labels)),
        "confusion": confusion_matrix(labels, probabilities.argmax(axis=1), labels=classes),
    }


def resampled_scores(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The scores of `classification_scores` with sample i counted `weights[b, i]` times, for all b (B, ...) at once.

    Weights (B, N) of ones give the scores themselves.
    """
    probabilities = _proper(probabilities)
    n, count = probabilities.shape
    weights = weights.astype(np.float64)
    total = weights.sum(axis=1)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    surprise = -np.log(np.clip(probabilities[np.arange(n), labels], _TINY, 1))
    auc = np.stack(
        [_auc(labels == k, probabilities[:, k], weights) for k in range(count)], axis=1
    )
    gaps = weights @ (
        np.eye(_BINS)[_bin(confidence)] * (confidence - (predicted == labels))[:, None]
    )
    return {
        "loss": weights @ surprise / total,
        "accuracy": weights @ (predicted == labels) / total,
        "auc": auc,
        "macro_auc": auc.mean(axis=1),
        "ece": np.abs(gaps).sum(axis=1) / total,
        "confusion": (weights @ np.eye(count**2)[labels * count + predicted]).reshape(
            -1, count, count
        ),
    }


def bootstrap(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Percentile intervals (low, high) of every score over samples drawn with replacement."""
    n, rng = len(labels), np.random.default_rng(seed)
    parts = []
    rows = max(1, _CHUNK // n)
    for start in range(0, resamples, rows):
        drawn = [
            np.bincount(rng.integers(n, size=n), minlength=n)
            for _ in range(min(rows, resamples - start))
        ]
        parts.append(resampled_scores(labels, probabilities, np.stack(drawn)))
    edges = 100 * np.array([(1 - level) / 2, (1 + level) / 2])
    intervals = {}
    for name in parts[0]:
        values = np.concatenate([part[name] for part in parts])
        absent = np.isnan(values.reshape(len(values), -1)).any(
            axis=1
        )  # resamples without a class have no AUC
        known = values if absent.all() else values[~absent]
        low, high = np.percentile(known, edges, axis=0)
        intervals[name] = (low, high)
    return intervals


def calibration_bins(
    labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean `confidence` and `accuracy` of the most probable class, and `count`, of each bin that is not empty."""
    probabilities = _proper(probabilities)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    count = np.bincount(_bin(confidence), minlength=_BINS)
    filled = count > 0
    return {
        "confidence": np.bincount(_bin(confidence), confidence, minlength=_BINS)[filled]
        / count[filled],
        "accuracy": np.bincount(_bin(confidence), correct, minlength=_BINS)[filled]
        / count[filled],
        "count": count[filled],
    }


def auc_interval(
    truth: np.ndarray,
    score: np.ndarray,
    quantiles: tuple[float, ...] = (0.025, 0.975),
    seed: int = 0,
) -> tuple[float, tuple[float, ...]]:
    """AUC of scores (N,) for `truth` (N,) bool, and quantiles of its distribution.

    That is taken as normal, with the variance of resampled images.
    """
    rng = np.random.default_rng(seed)
    ranks = np.unique(score, return_inverse=True)[1]  # equal scores stay equal
    positive, negative = ranks[truth], ranks[~truth]
    drawn = []
    for _ in range(_RESAMPLES):
        up, down = (
            rng.choice(positive, len(positive)),
            np.sort(rng.choice(negative, len(negative))),
        )
        below = [np.searchsorted(down, up, side=side) for side in ("left", "right")]
        drawn.append(np.mean(below) / len(down))
    auc, spread = float(roc_auc_score(truth, score)), float(np.std(drawn))
    return auc, tuple(float(np.clip(auc + spread * ndtri(q), 0, 1)) for q in quantiles)


def _proper(probabilities: np.ndarray) -> np.ndarray:
    probabilities = np.asarray(probabilities, np.float64)
    return probabilities / probabilities.sum(
        axis=1, keepdims=True
    )  # single precision leaves 1e-7


def _bin(confidence: np.ndarray) -> np.ndarray:
    return np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)


def _auc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC (B,) under weights (B, N): the weighted share of (positive, negative) pairs in the right order, ties half."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    ours = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
    others = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
    below = np.cumsum(others, axis=1) - others / 2
    pairs = ours.sum(axis=1) * others.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(pairs > 0, (ours * below).sum(axis=1), np.nan) / np.where(
            pairs > 0, pairs, 1
        )


def as_document(
    scores: dict[str, Any], intervals: dict[str, Any], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Scores and intervals as JSON: {name: {value, low, high}}, AUCs by class; None where a number is not defined."""
    document: dict[str, Any] = {}
    for name, value in scores.items():
        ends = {"value": value, "low": intervals[name][0], "high": intervals[name][1]}
        if name == "auc":
            document[name] = {
                c: {end: _plain(v[k]) for end, v in ends.items()}
                for k, c in enumerate(classes)
            }
        else:
            document[name] = {end: _plain(v) for end, v in ends.items()}
    return document


def interval_text(score: dict[str, Any], digits: int = 4) -> str:
    """A score with its interval, as `0.9123 [0.9001, 0.9230]`."""
    if score["value"] is None:
        return "not defined"
    value, low, high = (f"{score[end]:.{digits}f}" for end in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return [_plain(item) for item in value]
    number = value.item()
    return None if number != number else number
