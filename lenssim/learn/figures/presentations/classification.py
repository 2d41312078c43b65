"""Words and pictures of classification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, override

import numpy as np

from lenssim.data.streaming.labels import labels_of
from lenssim.learn.figures.presentations.presentation import Presentation

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.figures.presentations.presentation import Figures, Tables
    from lenssim.learn.scores.task_scores import TaskScores

__all__ = ["ClassificationPresentation"]

_DEPENDENCIES = {
    "snr": "signal to noise of the image",
    "delta_chi2_fixed": "expected delta chi2 of the substructure, macro fixed",
    "delta_chi2": "expected delta chi2 of the substructure, macro free",
}
_PAIRS_TITLE = (
    "The network beside the chi squared that the best smooth lens would leave "
    "(kind of lens and noise known)"
)


@dataclass(frozen=True)
class ClassificationPresentation(Presentation):
    """Words and pictures of a classification into `classes`."""

    classes: tuple[str, ...]

    headlines = {  # noqa: RUF012 - a class variable of the base
        "accuracy": "accuracy",
        "macro_auc": "macro AUC",
        "loss": "loss",
        "ece": "calibration error",
    }
    progress = {"accuracy": "accuracy", "auc": "AUC"}  # noqa: RUF012

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        probabilities = {name: f"{p:.4f}" for name, p in answer["probabilities"].items()}
        return {"class": answer["predicted"], **probabilities}

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        return {f"AUC of {name}": score for name, score in metrics["auc"].items()}

    @override
    def doubts(self, metrics: Mapping[str, Any]) -> list[str]:
        doubts = []
        answered = np.asarray(metrics["confusion"]["value"]).any(axis=0)
        if answered.sum() == 1:
            doubts.append(
                f"the answer is {self.classes[answered.argmax()]} for every image"
            )
        low = metrics["macro_auc"]["low"]
        if low is not None and low <= 0.5:
            doubts.append("no better than chance")
        return doubts

    @override
    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        before = document["before_calibration"]
        calibration = (
            f"before calibration: loss {before['loss']:.4f}, "
            f"calibration error {before['ece']:.4f}"
        )
        pairs = [
            f"{' / '.join(pair['classes'])}: AUC {pair['value']:.4f}, "
            f"a fit of the smooth lens {pair['fit']:.4f}"
            for pair in document["pairs"]
        ]
        return [calibration, *pairs]

    @override
    def tables(self, scores: TaskScores, preset: str | None) -> Tables:
        from lenssim.learn.scores.pairs import pair_cells

        pairs = scores.facts["pairs"]
        if not pairs:
            return {}
        return {_PAIRS_TITLE: pair_cells(pairs)}

    @override
    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        from lenssim.learn.figures.classification import (
            calibration_figure,
            confusion_figure,
            roc_figure,
        )

        metrics = scores.metrics
        labels = labels_of(dataset)[rows]
        probabilities = np.stack([scores.table[name] for name in self.classes], axis=1)
        confusion = np.asarray(metrics["confusion"]["value"])
        error = metrics["ece"]["value"]
        areas = {name: metrics["auc"][name]["value"] for name in self.classes}
        areas["macro"] = metrics["macro_auc"]["value"]
        return {
            "roc": partial(roc_figure, labels, probabilities, self.classes, areas, title),
            "confusion": partial(confusion_figure, confusion, self.classes, title),
            "calibration": partial(calibration_figure, labels, probabilities, error, title),
        }

    @override
    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Figures:
        """Draw the ROC curves, and accuracy against signal to noise and detectability."""
        from lenssim.learn.figures.comparison import accuracy_figure, roc_figure

        figures = {"roc": partial(roc_figure, tables, self.classes, title)}
        for column, name in _DEPENDENCIES.items():
            if all(column in table for table in tables.values()):
                draw = partial(accuracy_figure, tables, self.classes, column, name, title)
                figures[f"accuracy against {column}"] = draw
        return figures
