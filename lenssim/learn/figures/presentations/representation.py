"""Words and pictures of a representation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, override

from lenssim.learn.figures.presentations.presentation import Presentation

if TYPE_CHECKING:
    import numpy as np

    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.figures.presentations.presentation import Figures
    from lenssim.learn.scores.task_scores import TaskScores

__all__ = ["RepresentationPresentation"]

_NUMBERS = 4  # numbers of an embedding in a table


@dataclass(frozen=True)
class RepresentationPresentation(Presentation):
    """Words and pictures of embeddings."""

    headlines = {  # noqa: RUF012 - a class variable of the base
        "probe": "accuracy of a linear layer",
        "probe_auc": "AUC of a linear layer",
        "neighbours": "accuracy of the ten nearest",
    }
    progress = {"spread": "spread of embeddings"}  # noqa: RUF012

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        numbers = ", ".join(f"{x:.3g}" for x in answer["embedding"][:_NUMBERS])
        return {"embedding": f"{numbers}, ..."}

    @override
    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        return [f"share of the most frequent class: {document['majority']:.4f}"]

    @override
    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        from lenssim.learn.figures.embedding import embedding_figure

        labels = scores.table["label"]
        return {"embedding": partial(embedding_figure, scores.evidence, labels, title)}
