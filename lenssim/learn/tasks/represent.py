"""Representations: numbers of an image, learned without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np

from lenssim.data.streaming.labels import labels_of
from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.representation import RepresentationPresentation
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks.represent_config import RepresentConfig
from lenssim.learn.tasks.task import Task, check_answers

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.learn.tasks.task import Data

__all__ = ["Represent"]


class Represent(Task):
    """Embeddings (N, D) of images, which a method learns without labels."""

    settings = RepresentConfig
    invariant: ClassVar[bool] = True

    embedding: int

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        assert isinstance(config, RepresentConfig)
        return cls(embedding=config.embedding)

    @property
    @override
    def outputs(self) -> int:
        return self.embedding

    @property
    @override
    def title(self) -> str:
        return f"embed images in {self.embedding} numbers"

    @property
    @override
    def gives(self) -> str:
        return "numbers in which like images lie near each other"

    @property
    @override
    def presentation(self) -> RepresentationPresentation:
        return RepresentationPresentation()

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return zero: the method alone says what an embedding should be."""
        return 0 * outputs.sum()

    @override
    def metrics(self) -> MetricCollection:
        """Return how far embeddings spread: 1 on a sphere, 0 where all are the same."""
        from torchmetrics import MeanMetric, MetricCollection

        return MetricCollection({"spread": MeanMetric()}, compute_groups=False)

    @override
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        from torch.nn.functional import normalize

        deviation = normalize(outputs, dim=1).std(0, correction=0).square().sum().sqrt()
        metrics.update(deviation)

    @override
    def check(self, dataset: Data) -> None:
        labels_of(dataset)

    @override
    def judge(
        self,
        outputs: Tensor,
        dataset: ShardDataset,
        rows: np.ndarray,
        resamples: int,
        seed: int,
    ) -> TaskScores:
        from lenssim.learn.scores.embedding import projections, representation_scores

        features = outputs.float().mean(dim=0).numpy()
        check_answers(features, dataset.folder)
        labels = labels_of(dataset)[rows]
        metrics, facts = representation_scores(features, labels, dataset.classes, seed)
        evidence = projections(features, seed)
        table = {"label": np.array(dataset.classes)[labels]}
        table |= {
            f"{name}_{k}": plane[:, k] for name, plane in evidence.items() for k in (0, 1)
        }
        return TaskScores(metrics, facts, table, evidence)

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return the embedding of each image, the mean over passes."""
        return [{"embedding": row} for row in outputs.float().mean(dim=0).tolist()]
