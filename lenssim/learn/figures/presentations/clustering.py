"""Words and pictures of clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, override

import numpy as np

from lenssim.learn.figures.presentations.presentation import Presentation

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.figures.presentations.presentation import Figures
    from lenssim.learn.scores.task_scores import TaskScores

__all__ = ["ClusteringPresentation"]


@dataclass(frozen=True)
class ClusteringPresentation(Presentation):
    """Words and pictures of clusters beside classes."""

    headlines = {  # noqa: RUF012 - a class variable of the base
        "accuracy": "accuracy of matched clusters",
        "nmi": "normalised mutual information",
        "ari": "adjusted Rand index",
    }
    progress = {"sure": "mean share of the cluster"}  # noqa: RUF012

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        return {
            "cluster": str(answer["cluster"]),
            "stands for": answer["name"],
            "share": f"{answer['share']:.4f}",
        }

    @override
    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        names = ", ".join(f"{k}: {name}" for k, name in enumerate(document["names"]))
        return [
            f"share of the most frequent class: {document['majority']:.4f}",
            f"clusters stand for {names} (matched on labels of validation images)",
        ]

    @override
    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        from lenssim.learn.figures.classification import confusion_figure

        counts = np.asarray(scores.facts["confusion"])
        return {"confusion": partial(confusion_figure, counts, dataset.classes, title)}
