"""Pairs of classes: how well a network tells one from the other, and how well a fit of the smooth lens would."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from lenssim.learn.metrics import auc_interval

__all__ = ["Pair", "fit_auc", "pair_cells", "pairs"]


@dataclass(frozen=True)
class Pair:
    """Two classes: the network's AUC with its interval, and a fit's (None where delta_chi2 is not known)."""

    classes: tuple[str, str]
    value: float
    low: float
    high: float
    fit: float | None

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "classes": list(self.classes)}


def pairs(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    delta_chi2: np.ndarray | None,
    pixels: int,
    seed: int = 0,
) -> list[Pair]:
    """Every pair of classes of which there are images; labels (N,), probabilities (N, K), delta_chi2 (N,) of `pixels`.

    The network's score within a pair is the ratio of its two probabilities.
    """
    found = []
    tiny = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(probabilities, tiny))
    for one, other in combinations(range(len(classes)), 2):
        rows = np.flatnonzero((labels == one) | (labels == other))
        positive = labels[rows] == other
        if positive.all() or not positive.any():
            continue
        score = logs[rows, other] - logs[rows, one]
        low, high = auc_interval(positive, score, seed=seed)
        fit = None if delta_chi2 is None else fit_auc(positive, delta_chi2[rows], pixels, seed)
        found.append(Pair((classes[one], classes[other]), float(roc_auc_score(positive, score)), low, high, fit))
    return found


def fit_auc(positive: np.ndarray, delta_chi2: np.ndarray, pixels: int, seed: int = 0) -> float:
    """AUC of the chi squared that the best smooth lens leaves in `pixels` pixels; `positive` (N,) bool: which class.

    Each image's is drawn from the noncentral chi squared distribution of its expected `delta_chi2` (N,), as if the kind
    of lens and source and the noise were known. It knows of the substructure only how much it is; and of the linear
    regime, in which `delta_chi2` holds, more than an actual fit would.
    """
    drawn = np.random.default_rng(seed).noncentral_chisquare(pixels, np.maximum(delta_chi2, 0))
    auc = float(roc_auc_score(positive, drawn))
    return max(auc, 1 - auc)


def pair_cells(document: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """A table of pairs as `Pair.document` gives them."""
    return [
        {
            "pair": " / ".join(pair["classes"]),
            "network's AUC": f"{pair['value']:.4f} [{pair['low']:.4f}, {pair['high']:.4f}]",
            "a fit's AUC": "-" if pair["fit"] is None else f"{pair['fit']:.4f}",
        }
        for pair in document
    ]
