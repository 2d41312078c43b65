"""Words and pictures of the detection of anomalies."""

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

__all__ = ["AnomalyPresentation"]

_DISTANCES = "Mean distances of images and answers"


@dataclass(frozen=True)
class AnomalyPresentation(Presentation):
    """Words and pictures of a detector of what is unlike the class `normal`."""

    normal: str

    headlines = {  # noqa: RUF012 - a class variable of the base
        "auc_all": "AUC of all anomalies",
        "true_alarms": "anomalies with an alarm",
        "false_alarms": "usual images with an alarm",
    }
    progress = {"score": "mean score"}  # noqa: RUF012

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        p, alarm = "noise unlike the training", "not answered"
        if answer["noise_known"]:
            p = f"{answer['p']:.4f}"
            alarm = "yes" if answer["alarm"] else "no"
        return {"score": f"{answer['score']:.2f}", "p": p, "alarm": alarm}

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        details = {f"AUC of {name}": area for name, area in metrics["auc"].items()}
        words = {"auc_raw": "raw score", "auc_mse": "mean squared residual"}
        for key, word in words.items():
            for name, area in metrics[key].items():
                if name != "all":
                    details[f"AUC of {name}, {word}"] = area
        return details

    @override
    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        counts = ", ".join(f"{name} {n}" for name, n in document["counts"].items())
        lines = [f"at an alarm rate of {document['alarm_rate']:g}: {counts}"]
        for name, area in document["leak_auc"].items():
            if area is not None:
                lines.append(
                    f"leak audit, {self.normal} / {name}: AUC {area:.4f} without substructure"
                )
        if document["foreign_noise"]:
            share = 100 * document["foreign_noise"]
            lines.append(f"{share:.1f} % of the images have other noise: not answered")
        return lines

    @override
    def tables(self, scores: TaskScores, preset: str | None) -> Tables:
        distances = scores.facts["distances"]
        words = {
            "chi2": "residual, in noise squared",
            "mse": "residual of the scaled image, squared",
            "w1": "W1 of radial profiles, px",
        }
        rows = [
            {
                "class": name,
                "alarms": f"{100 * scores.facts['alarms'].get(name, float('nan')):.1f} %",
                **{word: f"{distances[key][name]:.4g}" for key, word in words.items()},
            }
            for name in distances["chi2"]
        ]
        return {_DISTANCES: rows}

    @override
    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        from lenssim.learn.figures.anomaly import (
            alarms_figure,
            examples_figure,
            rates_figure,
        )

        table = scores.table
        return {
            "roc": partial(rates_figure, {"": table}, self.normal, title),
            "alarms": partial(alarms_figure, scores.facts["counts"], self.normal, title),
            "examples": partial(examples_figure, scores.evidence, title),
        }

    @override
    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Figures:
        """Draw the ROC curves of all runs, by class."""
        from lenssim.learn.figures.anomaly import rates_figure

        return {"roc": partial(rates_figure, tables, self.normal, title)}
