"""Scores of clusters: how well they agree with classes that nobody told them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["clustering_scores", "matched"]

_LEVEL = (2.5, 97.5)


def matched(
    clusters: np.ndarray, labels: np.ndarray, count: int, classes: Sequence[str]
) -> tuple[str, ...]:
    """Return the class that each cluster stands for.

    As many clusters as classes are matched one to one, with the most images in common (Kuhn
    1955). Otherwise each cluster stands for its most frequent class.

    Args:
        clusters: Clusters (N,) of images.
        labels: Their classes (N,).
        count: Number of clusters.
        classes: Names of the classes.

    Example:
        >>> matched(np.array([1, 1, 0]), np.array([0, 0, 1]), 2, ("a", "b"))
        ('b', 'a')
    """
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((count, len(classes)), int)
    np.add.at(table, (clusters, labels), 1)
    if count != len(classes):
        return tuple(classes[k] for k in table.argmax(axis=1))
    _, columns = linear_sum_assignment(-table)
    return tuple(classes[k] for k in columns)


def clustering_scores(
    clusters: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    classes: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score clusters whose names were matched on other images.

    Args:
        clusters: Clusters (N,) of images.
        labels: Their classes (N,).
        names: The class that each cluster stands for.
        classes: Names of the classes.
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap samples.

    Returns:
        Accuracy, normalised mutual information and adjusted Rand index with intervals; the share
        of the most frequent class, and counts by class and cluster.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    predicted = np.array([list(classes).index(name) for name in names])[clusters]
    functions = {
        "accuracy": lambda rows: float((predicted[rows] == labels[rows]).mean()),
        "nmi": lambda rows: normalized_mutual_info_score(labels[rows], clusters[rows]),
        "ari": lambda rows: adjusted_rand_score(labels[rows], clusters[rows]),
    }
    rng = np.random.default_rng(seed)
    size = len(labels)
    draws = [rng.integers(size, size=size) for _ in range(min(resamples, 200))]
    metrics = {}
    for name, score in functions.items():
        low, high = np.percentile([score(rows) for rows in draws], _LEVEL)
        value = float(score(np.arange(size)))
        metrics[name] = {"value": value, "low": float(low), "high": float(high)}
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (labels, predicted), 1)
    share = float(np.bincount(labels).max() / size)
    return metrics, {"majority": share, "confusion": counts.tolist(), "names": list(names)}
