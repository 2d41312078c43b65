"""What an evaluation of a finder says: scores, operating points, and lenses by property."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.learn.scores.classification import bootstrap, classification_scores
from lenssim.learn.scores.finding import (
    completeness_by,
    intervals,
    operating_point,
    shifted,
)
from lenssim.learn.scores.task_scores import TaskScores

__all__ = ["FinderState", "finding_scores"]

_STATED_RATE = "0.01"  # of validation's false positives, for completeness by property
_SEEDS = "images and seeds"


@dataclass(frozen=True)
class FinderState:
    """What a finder's scores depend on besides its answers.

    Attributes:
        share: Share of lenses for which its scores are probabilities.
        prevalence: Share of lenses for which purity is stated.
        thresholds: Its thresholds, by the rate of false positives in the validation.
    """

    share: float
    prevalence: float
    thresholds: Mapping[str, float]


def finding_scores(
    truth: np.ndarray,
    joint: Mapping[str, np.ndarray],
    members: Sequence[np.ndarray],
    finder: FinderState,
    properties: Mapping[str, np.ndarray],
    *,
    resamples: int,
    seed: int,
) -> TaskScores:
    """Score a finder.

    Args:
        truth: Whether each image is a lens, bool (N,).
        joint: Scores (N,) of joint answers, by the way of joining; the first is the answer.
        members: Scores (N,) of each network, where several answer together.
        finder: The finder's calibration.
        properties: True properties (N,) of the images, by name.
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap samples.

    Returns:
        The scores, without a table.
    """
    score = next(iter(joint.values()))
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    metrics: dict[str, Any] = intervals(truth, [score], finder.prevalence, **options)
    metrics |= _calibration(truth, score, finder.share, **options)
    if len(joint) > 1:
        metrics["joined_by"] = {
            name: intervals(truth, [joint_score], finder.prevalence, **options)
            for name, joint_score in joint.items()
        }
    if members:
        metrics[_SEEDS] = intervals(truth, members, finder.prevalence, **options)
    facts = _facts(truth, score, finder, properties)
    facts["members"] = len(members) or 1
    return TaskScores(metrics, facts)


def _facts(
    truth: np.ndarray,
    score: np.ndarray,
    finder: FinderState,
    properties: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Return counts, operating points and completeness, for metrics.json."""
    points = {
        rate: operating_point(truth, score, threshold, finder.prevalence)
        for rate, threshold in finder.thresholds.items()
    }
    by_property: dict[str, Any] = {}
    if _STATED_RATE in finder.thresholds:
        threshold = finder.thresholds[_STATED_RATE]
        by_property = completeness_by(truth, score, threshold, properties)
    return {
        "lenses": int(truth.sum()),
        "others": int((~truth).sum()),
        "prevalence": finder.prevalence,
        "operating_points": points,
        "completeness": by_property,
    }


def _calibration(
    truth: np.ndarray, score: np.ndarray, share: float, *, resamples: int, seed: int
) -> dict[str, Any]:
    """Return loss and calibration error of probabilities at the share of lenses judged on."""
    own_share = float(truth.mean())
    if own_share in (0.0, 1.0):
        nothing = {"value": None, "low": None, "high": None}
        return {"loss": nothing, "ece": nothing}
    probability = shifted(score, share, own_share)
    both = np.stack([1 - probability, probability], axis=1)
    labels = truth.astype(np.int64)
    values = classification_scores(labels, both)
    ends = bootstrap(labels, both, resamples=resamples, seed=seed)
    return {
        name: {
            "value": float(values[name]),
            "low": float(ends[name][0]),
            "high": float(ends[name][1]),
        }
        for name in ("loss", "ece")
    }
