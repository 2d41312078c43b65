"""What an evaluation of a detector says: areas by class, alarms, and distances of answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.data.format.files import read_json
from lenssim.data.generation.dataset_card import LEAK_AUDIT
from lenssim.data.streaming.labels import labels_of
from lenssim.errors import DataError
from lenssim.learn.scores.anomaly import (
    areas,
    counts_at,
    leaked,
    rate_interval,
)
from lenssim.learn.scores.leak_statistics import statistics
from lenssim.learn.scores.leaks import leaks
from lenssim.learn.scores.task_scores import TaskScores

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset

__all__ = ["Detected", "anomaly_scores"]

_RAW = {"score": "auc_raw", "mse": "auc_mse"}
_DISTANCES = ("chi2", "mse", "w1")
_AUDITED = 2000  # images whose statistics are compared
_EXAMPLES = 2  # images of each class that are drawn


@dataclass(frozen=True)
class Detected:
    """The answers of a detector for N images.

    Args:
        normal: Name of the usual class.
        alarm_rate: Highest p-value of an alarm.
        scores: Conditional scores (N,).
        p_values: Conformal p-values (N,), NaN where none can be given.
        facts: Numbers (N,) of the images, by name.
        maps: Maps (N, C, H, W) of where.
    """

    normal: str
    alarm_rate: float
    scores: np.ndarray
    p_values: np.ndarray
    facts: Mapping[str, np.ndarray]
    maps: np.ndarray


def anomaly_scores(
    detected: Detected, dataset: "ShardDataset", rows: np.ndarray, seed: int
) -> TaskScores:
    """Score a detector.

    Args:
        detected: Its answers for the rows.
        dataset: The data set.
        rows: Its rows (N,).
        seed: Seed of the bootstrap samples.

    Returns:
        AUCs by class of the conditional score, of the raw score and of the mean squared
        residual; rates of alarms by class; the leak audit's AUC; mean distances by class.
    """
    labels = labels_of(dataset)[rows]
    classes = dataset.classes
    answered = ~np.isnan(detected.p_values)
    alarms = answered & (np.nan_to_num(detected.p_values, nan=1.0) <= detected.alarm_rate)
    anomalous = labels != classes.index(detected.normal)
    auc = areas(labels[answered], detected.scores[answered], classes, detected.normal, seed)
    metrics: dict[str, Any] = {
        "auc_all": auc["all"],
        "false_alarms": rate_interval(alarms[answered & ~anomalous]),
        "true_alarms": rate_interval(alarms[answered & anomalous]),
        "auc": {name: area for name, area in auc.items() if name != "all"},
    }
    for name, key in _RAW.items():
        column = detected.facts[name][answered]
        metrics[key] = areas(labels[answered], column, classes, detected.normal, seed)
    facts = {
        "normal": detected.normal,
        "alarm_rate": detected.alarm_rate,
        "counts": counts_at(alarms[answered], anomalous[answered]),
        "alarms": _by_class(labels[answered], alarms[answered].astype(float), classes),
        "distances": {
            name: _by_class(labels, detected.facts[name], classes) for name in _DISTANCES
        },
        "leak_auc": _leaks_beside(dataset, rows, detected.normal),
    }
    table = {
        "label": np.array(classes)[labels],
        **detected.facts,
        "raw_score": detected.facts["score"],
        "score": detected.scores,
        "p": detected.p_values,
    }
    return TaskScores(metrics, facts, table, _examples(detected, dataset, rows, labels))


def _by_class(labels: np.ndarray, values: np.ndarray, classes: Any) -> dict[str, float]:
    """Return the mean of values (N,) by class."""
    return {
        name: float(values[labels == k].mean())
        for k, name in enumerate(classes)
        if (labels == k).any()
    }


def _leaks_beside(
    dataset: "ShardDataset", rows: np.ndarray, normal: str
) -> dict[str, float | None]:
    """Return the AUC by class of all statistics but edges, as of the leak audit.

    The stored audit is taken where it is of these data. Otherwise the judged images are audited.
    """
    document = _audit(dataset, rows)
    anomalies = [name for name in dataset.classes if name != normal]
    return {name: leaked(document, (normal, name)) for name in anomalies}


def _audit(dataset: "ShardDataset", rows: np.ndarray) -> Mapping[str, Any]:
    try:
        document = read_json(dataset.folder / LEAK_AUDIT)
        if document["fingerprint"] == dataset.fingerprint:
            return document
    except (DataError, KeyError):
        pass
    audited = rows[:_AUDITED]
    labels = labels_of(dataset)[audited]
    try:
        features = statistics(dataset.images(audited))
        results = leaks(features, labels, dataset.classes)
        return {"leaks": [leak.document() for leak in results]}
    except DataError:  # too few images or classes
        return {}


def _examples(
    detected: Detected, dataset: "ShardDataset", rows: np.ndarray, labels: np.ndarray
) -> list[dict[str, Any]]:
    """Return class, score, image and map of the least usual images of each class."""
    order = np.argsort(-detected.scores, kind="stable")
    chosen = [order[labels[order] == k][:_EXAMPLES] for k in range(len(dataset.classes))]
    return [
        {
            "class": dataset.classes[labels[row]],
            "score": float(detected.scores[row]),
            "image": dataset.images(rows[[row]])[0, 0],
            "noise": float(np.exp(detected.facts["noise"][row])),
            "where": detected.maps[row, 0],
        }
        for row in np.concatenate(chosen).tolist()
    ]
