"""Words and pictures of regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, override

from lenssim.learn.figures.presentations.presentation import Presentation

if TYPE_CHECKING:
    import numpy as np

    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.figures.presentations.presentation import Figures, Tables
    from lenssim.learn.scores.task_scores import TaskScores

__all__ = ["RegressionPresentation"]


@dataclass(frozen=True)
class RegressionPresentation(Presentation):
    """Words and pictures of a regression of the targets named `columns`."""

    columns: tuple[str, ...]

    headlines = {  # noqa: RUF012 - a class variable of the base
        "error": "68 % error / spread",
        "within_1": "within 1 sigma",
        "joint_1": "jointly",
        "loss": "loss",
    }
    progress = {"rmse": "rms error / spread"}  # noqa: RUF012

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        values = {
            name: f"{value:.4g} +- {answer['sigma'][name]:.2g}"
            for name, value in answer["targets"].items()
        }
        outside = ", ".join(answer["outside"]) or "no"
        cells = {**values, "outside the training range": outside}
        if "unsure" in answer:
            cells["unsure"] = ", ".join(answer["unsure"]) or "no"
        return cells

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        scores = {}
        for name, target in metrics["targets"].items():
            scores[f"MAE of {name}"] = target["mae"]
            scores[f"  of always answering the mean {name}"] = target["mae_of_the_mean"]
        return scores

    @override
    def doubts(self, metrics: Mapping[str, Any]) -> list[str]:
        scores = metrics["targets"].items()
        names = [
            name
            for name, score in scores
            if _value(score, "mae") >= _value(score, "mae_of_the_mean")
        ]
        return (
            [f"no better than always answering the mean for {', '.join(names)}"]
            if names
            else []
        )

    @override
    def tables(self, scores: TaskScores, preset: str | None) -> Tables:
        from lenssim.learn.figures.regression_set import measure_tables

        return measure_tables(scores.metrics["targets"], preset)

    @override
    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        from lenssim.learn.figures.regression_set import measure_figures

        preset = None
        if dataset.spec is not None:
            preset = dataset.spec.preset.name
        return measure_figures(
            scores.evidence, scores.metrics, dataset, rows, preset, title
        )

    @override
    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Figures:
        """Draw the 68 % errors of all runs, beside published ones."""
        from lenssim.learn.figures.regression_set import compared_errors

        return compared_errors(self.columns, tables, title)


def _value(scores: Mapping[str, Any], key: str) -> float:
    """Return a score, or nan where it is not defined."""
    value = scores[key]["value"]
    return float("nan") if value is None else float(value)
