"""The question "which class": cross entropy, class probabilities, accuracy and AUC."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from lenssim.data.dataset import Batch, ShardDataset
from lenssim.data.live import LiveDataset
from lenssim.errors import DataError

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

__all__ = ["Classify"]


@dataclass(frozen=True)
class Classify:
    """One of K classes: a network gives logits (N, K)."""

    classes: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """Numbers a network has to give for an image."""
        return len(self.classes)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Mean cross entropy, in nats."""
        return nn.functional.cross_entropy(logits, batch["label"])

    def answer(self, logits: Tensor) -> Tensor:
        """Probabilities (N, K) of the classes."""
        return logits.float().softmax(dim=1)

    def metrics(self) -> "MetricCollection":
        """Running scores of (probabilities, labels) during training: accuracy, and the macro one-vs-rest AUC."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

        count = len(self.classes)
        scores = {"accuracy": MulticlassAccuracy(count, average="micro"), "auc": MulticlassAUROC(count)}
        return MetricCollection(scores, compute_groups=False)

    def check(self, dataset: ShardDataset | LiveDataset, rows: np.ndarray, split: str) -> None:
        """`DataError` if there are fewer than two classes, or one of them is not among these rows."""
        if len(self.classes) < 2:
            raise DataError(f"{dataset.folder} has one class only, {self.classes[0]}: there is nothing to tell apart")
        counts = np.bincount(dataset.labels[rows], minlength=len(self.classes))
        if missing := [name for name, count in zip(self.classes, counts, strict=True) if not count]:
            raise DataError(
                f"{dataset.folder}: the {split} split ({len(rows)} of {len(dataset)} samples) has no "
                f"{', '.join(missing)}; splits are cut in blocks of 64 samples, so make at least 256"
            )
