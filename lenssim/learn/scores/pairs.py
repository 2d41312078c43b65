"""Scores of pairs of classes: of the network, and of a fit of the smooth lens."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from lenssim.learn.scores.classification import auc_interval, interval_text

__all__ = ["expected_chi2", "pair_cells", "pairs"]


def pairs(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    chi2: np.ndarray,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the AUC of the network and of a fit for each pair of classes with images.

    The network's score within a pair is the ratio of its two probabilities. A fit knows only the
    chi2 that it leaves.

    Args:
        labels: True classes (N,).
        probabilities: Probabilities (N, K) of the classes.
        classes: Names (K) of the classes.
        chi2: Chi squared (N,) of the best smooth lens: measured, or from `expected_chi2`.
        seed: Seed of the bootstrap samples.

    Returns:
        One JSON document for each pair.
    """
    documents = []
    log_probabilities = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    for negative, positive in combinations(range(len(classes)), 2):
        rows = np.flatnonzero((labels == negative) | (labels == positive))
        truth = labels[rows] == positive
        if truth.all() or not truth.any():
            continue
        score = log_probabilities[rows, positive] - log_probabilities[rows, negative]
        names = [classes[negative], classes[positive]]
        documents.append({"classes": names, **_pair_scores(truth, score, chi2[rows], seed)})
    return documents


def _pair_scores(
    truth: np.ndarray, score: np.ndarray, chi2: np.ndarray, seed: int
) -> dict[str, float]:
    """Return the network's AUC with its interval, and a fit's."""
    value, (low, high) = auc_interval(truth, score, seed=seed)
    fit_auc = float(roc_auc_score(truth, chi2))
    return {"value": value, "low": low, "high": high, "fit": max(fit_auc, 1 - fit_auc)}


def expected_chi2(delta_chi2: np.ndarray, pixels: int, seed: int = 0) -> np.ndarray:
    """Draw the chi squared of the best smooth lens, for images without a fit.

    Each is drawn from the noncentral chi squared distribution, as if the kind of lens and source
    and the noise were known. `delta_chi2` holds while the lens would not have to move far.

    Args:
        delta_chi2: Expected differences of chi squared (N,).
        pixels: Number of pixels of an image.
        seed: Seed of the draws.

    Returns:
        Chi squared (N,).

    Example:
        >>> expected_chi2(np.array([0.0, 50.0]), pixels=4096).shape
        (2,)
    """
    return np.random.default_rng(seed).noncentral_chisquare(
        pixels, np.maximum(delta_chi2, 0)
    )


def pair_cells(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the results of `pairs` as the cells of a table."""
    return [
        {
            "pair": " / ".join(pair["classes"]),
            "network's AUC": interval_text(pair),
            "a fit's AUC": f"{pair['fit']:.4f}",
        }
        for pair in documents
    ]
