"""Clusters: groups of images, found without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np

from lenssim.data.format.manifest import ClassName
from lenssim.data.streaming.labels import labels_of
from lenssim.errors import DataError
from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.clustering import ClusteringPresentation
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks.cluster_config import ClusterConfig
from lenssim.learn.tasks.task import Task, check_answers

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.learn.tasks.task import Data

__all__ = ["Cluster"]


class Cluster(Task):
    """Clusters of images, by logits (N, K). Validation labels only give clusters their names."""

    settings = ClusterConfig
    invariant: ClassVar[bool] = True

    clusters: int
    names: tuple[ClassName, ...] = ()
    """The class that each cluster stands for, matched on validation images."""

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        assert isinstance(config, ClusterConfig)
        return cls(clusters=config.clusters)

    @property
    @override
    def outputs(self) -> int:
        return self.clusters

    @property
    @override
    def title(self) -> str:
        return f"part images into {self.clusters} clusters"

    @property
    @override
    def gives(self) -> str:
        return "the share of each cluster"

    @property
    @override
    def presentation(self) -> ClusteringPresentation:
        return ClusteringPresentation()

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return zero: the method alone says what clusters should be."""
        return 0 * outputs.sum()

    @override
    def metrics(self) -> MetricCollection:
        """Return how sure images are of their cluster, the mean of the largest share."""
        from torchmetrics import MeanMetric, MetricCollection

        return MetricCollection({"sure": MeanMetric()}, compute_groups=False)

    @override
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        metrics.update(outputs.float().softmax(1).amax(1))

    def shares(self, outputs: Tensor) -> np.ndarray:
        """Return the share (N, K) of each cluster, the mean over passes (P, N, K)."""
        return outputs.double().softmax(-1).mean(dim=0).numpy()

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """Return the task with names of the clusters, where labels are known."""
        from lenssim.learn.scores.clustering import matched

        if dataset.labels is None:
            return self
        numbers = self.shares(outputs).argmax(axis=1)
        names = matched(numbers, labels_of(dataset)[rows], self.clusters, dataset.classes)
        return self.model_copy(update={"names": names})

    @override
    def check(self, dataset: Data) -> None:
        labels_of(dataset)
        unknown = set(self.names) - set(dataset.classes)
        if unknown or not self.names:
            raise DataError(
                f"{dataset.folder} has the classes {', '.join(dataset.classes)}; the clusters "
                f"stand for {', '.join(self.names) or 'no class'}",
                code="classes-differ",
                folder=dataset.folder,
            )

    @override
    def judge(
        self,
        outputs: Tensor,
        dataset: ShardDataset,
        rows: np.ndarray,
        resamples: int,
        seed: int,
    ) -> TaskScores:
        from lenssim.learn.scores.clustering import clustering_scores

        shares = self.shares(outputs)
        check_answers(shares, dataset.folder)
        labels = labels_of(dataset)[rows]
        numbers = shares.argmax(axis=1)
        classes = dataset.classes
        metrics, facts = clustering_scores(
            numbers, labels, self.names, classes, resamples=resamples, seed=seed
        )
        table = {
            "label": np.array(classes)[labels],
            "cluster": numbers,
            "predicted": np.array(self.names)[numbers],
        }
        return TaskScores(metrics, facts, table)

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return the cluster of each image, what it stands for, and its share."""
        shares = self.shares(outputs)
        return [
            {
                "cluster": int(row.argmax()),
                "name": self.names[row.argmax()] if self.names else "",
                "share": float(row.max()),
            }
            for row in shares
        ]
