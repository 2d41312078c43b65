"""Words and pictures of finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, override

from lenssim.learn.figures.presentations.presentation import Presentation

if TYPE_CHECKING:
    import numpy as np

    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.figures.presentations.presentation import Figures, Tables
    from lenssim.learn.scores.task_scores import TaskScores

__all__ = ["FindingPresentation"]

_SCORES = {
    "auc": "AUC",
    "tpr0": "TPR0",
    "tpr10": "TPR10",
    "tpr_1e-2": "found at a false-positive rate of 1e-2",
    "tpr_1e-3": "found at a false-positive rate of 1e-3",
    "purity_50": "purity with half of them found",
}
_SEEDS = "images and seeds"
_TWINS = "AUC of lenses without their arcs (0.5 without a leak)"
_POINTS_TITLE = "Operating points, with thresholds chosen on the validation images"


@dataclass(frozen=True)
class FindingPresentation(Presentation):
    """Words and pictures of a search for the class `positive`."""

    positive: str

    headlines = {  # noqa: RUF012 - a class variable of the base
        "auc": "AUC",
        "tpr0": "TPR0",
        "tpr10": "TPR10",
        "ece": "calibration error",
    }
    progress = {"auc": "AUC", "accuracy": "accuracy"}  # noqa: RUF012
    captions = {  # noqa: RUF012
        "roc": "ROC: lenses found against the rate of false positives, logarithmic",
        "purity": "purity against completeness at the stated prevalence",
        "completeness": "lenses found above the threshold of 0.01, by property",
        "errors": "the most confident errors: others that look like lenses, missed lenses",
    }

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        name = f"probability at a prevalence of {answer['prevalence']:.3g}"
        return {"score": f"{answer['score']:.4f}", name: f"{answer['probability']:.4f}"}

    @override
    def doubts(self, metrics: Mapping[str, Any]) -> list[str]:
        low = metrics["auc"]["low"]
        return ["no better than chance"] if low is not None and low <= 0.5 else []

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        details = {name: metrics[key] for key, name in _SCORES.items()}
        for key in self.headlines:
            details.pop(self.headlines[key], None)
        for views, scores in metrics.get("joined_by", {}).items():
            for key in ("auc", "tpr0", "tpr10"):
                details[f"{_SCORES[key]} of the {views} of passes"] = scores[key]
        for key, score in metrics.get(_SEEDS, {}).items():
            if key in ("auc", "tpr0", "tpr10"):
                details[f"{_SCORES[key]} of one network, over {_SEEDS}"] = score
        if "twin" in metrics:
            details[_TWINS] = metrics["twin"]["auc"]
        return details

    @override
    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        lines = [
            f"{document['lenses']} of {self.positive} and {document['others']} others; "
            f"purities at a prevalence of {document['prevalence']:.3g}"
        ]
        for rate, point in document["operating_points"].items():
            lines.append(
                f"above the threshold of {rate} in the validation: {point['found']} found, "
                f"{point['wrong']} wrong"
            )
        return lines

    @override
    def tables(self, scores: TaskScores, preset: str | None) -> Tables:
        points = [
            {
                "false positives in the validation": rate,
                "threshold": f"{point['threshold']:.4g}",
                "completeness": _text(point["completeness"]),
                "false-positive rate": _text(point["fpr"]),
                "purity": _text(point["purity"]),
            }
            for rate, point in scores.facts["operating_points"].items()
        ]
        tables = {_POINTS_TITLE: points} if points else {}
        for name, bins in scores.facts["completeness"].items():
            tables[f"Found above the threshold of 0.01, by {name}"] = [
                {
                    name: f"{entry['low']:.3g} to {entry['high']:.3g}",
                    "images": str(entry["n"]),
                    "completeness": _text(entry["completeness"]),
                    "AUC": _text((entry["auc"] or {}).get("value")),
                }
                for entry in bins
            ]
        return tables

    @override
    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        from lenssim.learn.figures.finding import (
            completeness_figure,
            gallery_figure,
            purity_figure,
            rates_figure,
        )

        truth = scores.table["label"] == self.positive
        ranked = {"": (truth, scores.table["score"])}
        prevalence = scores.facts["prevalence"]
        figures = {
            "roc": partial(rates_figure, ranked, title),
            "purity": partial(purity_figure, *ranked[""], prevalence, title),
            "errors": partial(
                gallery_figure, dataset, rows, truth, scores.table["score"], title
            ),
        }
        if scores.facts["completeness"]:
            bins = scores.facts["completeness"]
            figures["completeness"] = partial(completeness_figure, bins, title)
        return figures

    @override
    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Figures:
        """Draw the ROC curves of all runs, the false-positive rate logarithmic."""
        from lenssim.learn.figures.finding import rates_figure

        ranked = {
            run: (table["label"] == self.positive, table["score"].astype(float))
            for run, table in tables.items()
        }
        return {"roc": partial(rates_figure, ranked, title)}


def _text(value: float | None) -> str:
    """Return a number, or a dash where it is not defined."""
    return "-" if value is None else f"{value:.3g}"
