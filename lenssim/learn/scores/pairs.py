"""Pairs of classes: how well a network tells one from the other, and how well a fit of the smooth lens would."""

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
    """Every pair of classes of which there are images: the network's AUC with its interval, and a fit's, as plain JSON.

    Labels (N,), probabilities (N, K), `chi2` (N,) that the best smooth lens leaves: measured, or `expected_chi2`. The
    network's score within a pair is the ratio of its two probabilities; a fit knows only how much it leaves.
    """
    found = []
    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    for one, other in combinations(range(len(classes)), 2):
        rows = np.flatnonzero((labels == one) | (labels == other))
        positive = labels[rows] == other
        if positive.all() or not positive.any():
            continue
        value, (low, high) = auc_interval(
            positive, logs[rows, other] - logs[rows, one], seed=seed
        )
        fit = float(roc_auc_score(positive, chi2[rows]))
        fit = max(fit, 1 - fit)
        found.append(
            {
                "classes": [classes[one], classes[other]],
                "value": value,
                "low": low,
                "high": high,
                "fit": fit,
            }
        )
    return found


def expected_chi2(delta_chi2: np.ndarray, pixels: int, seed: int = 0) -> np.ndarray:
    """Chi squared (N,) that the best smooth lens may leave in `pixels` pixels, where no fit was made.

    Each is drawn from the noncentral chi squared distribution of its expected `delta_chi2` (N,), as if the kind of lens
    and source and the noise were known; `delta_chi2` holds while the lens would not have to move far.
    """
    return np.random.default_rng(seed).noncentral_chisquare(
        pixels, np.maximum(delta_chi2, 0)
    )


def pair_cells(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What `pairs` found as a table."""
    return [
        {
            "pair": " / ".join(pair["classes"]),
            "network's AUC": interval_text(pair),
            "a fit's AUC": f"{pair['fit']:.4f}",
        }
        for pair in found
    ]
