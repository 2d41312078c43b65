"""Classification: cross entropy, class probabilities, accuracy and AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np

from lenssim.data.format.manifest import ClassName
from lenssim.data.streaming.labels import labels_of
from lenssim.errors import DataError, unknown
from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.classification import ClassificationPresentation
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks.classify_config import ClassifyConfig
from lenssim.learn.tasks.task import Task, check_answers

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.learn.tasks.task import Data

__all__ = ["Classify"]

_FREE_CHI2 = "delta_chi2"  # of the substructure, the smooth lens free
_TEMPERATURES = (0.05, 20.0)


class Classify(Task):
    """Classification into K classes.

    A network gives logits (N, K). They are divided by `temperature` before their softmax.
    """

    settings = ClassifyConfig
    invariant: ClassVar[bool] = True

    classes: tuple[ClassName, ...]
    temperature: float = 1.0
    weights: tuple[float, ...] | None = None
    """Weights of the classes in the loss; None for equal weights."""

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        classes = dataset.classes
        labels = labels_of(dataset)
        if len(classes) < 2:
            raise DataError(
                f"{dataset.folder} has one class only, {classes[0]}: "
                "there is nothing to tell apart",
                code="too-few-classes",
                folder=dataset.folder,
            )
        for split, numbers in rows.items():
            _check_classes(dataset, split, numbers)
        weights = _class_weights(config, classes, labels[rows["train"]])
        return cls(classes=classes, weights=weights)

    @property
    @override
    def outputs(self) -> int:
        return len(self.classes)

    @property
    @override
    def title(self) -> str:
        return f"classify {', '.join(self.classes)}"

    @property
    @override
    def gives(self) -> str:
        return "the probability of each class"

    @property
    @override
    def presentation(self) -> ClassificationPresentation:
        return ClassificationPresentation(self.classes)

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross entropy in nats, the classes weighted."""
        from torch.nn.functional import cross_entropy

        weights = None
        if self.weights is not None:
            weights = outputs.new_tensor(self.weights)
        return cross_entropy(outputs, batch["label"], weights)

    @override
    def class_logits(self, outputs: Tensor) -> Tensor:
        return outputs

    @override
    def metrics(self) -> MetricCollection:
        """Return accuracy, and the macro one-vs-rest AUC."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

        count = len(self.classes)
        accuracy = MulticlassAccuracy(count, average="micro")
        auc = MulticlassAUROC(count)
        return MetricCollection({"accuracy": accuracy, "auc": auc}, compute_groups=False)

    @override
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        metrics.update(outputs.float().softmax(dim=1), batch["label"])

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return probabilities (N, K) of the classes, the mean over passes (P, N, K)."""
        return (outputs.float() / self.temperature).softmax(dim=-1).mean(dim=0)

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """Return the task with the temperature of least validation loss (Guo et al. 2017)."""
        from scipy.optimize import minimize_scalar
        from torch import from_numpy
        from torch.nn.functional import nll_loss

        labels = from_numpy(labels_of(dataset)[rows])

        def loss(log_temperature: float) -> float:
            task = self._at_temperature(float(np.exp(log_temperature)))
            probabilities = task.probabilities(outputs.double())
            return nll_loss(probabilities.log(), labels).item()

        bounds = np.log(_TEMPERATURES)
        minimum = minimize_scalar(loss, bounds=bounds, method="bounded")
        return self._at_temperature(float(np.exp(minimum.x)))

    def _at_temperature(self, temperature: float) -> Self:
        """Return the task with another temperature."""
        return self.model_copy(update={"temperature": temperature})

    @override
    def joined(
        self, others: Sequence[Self], outputs: Sequence[Tensor]
    ) -> tuple[Self, Tensor]:
        """Divide each network's logits by its own temperature."""
        from torch import cat

        if not others:
            return self, outputs[0]
        scaled = [
            logits / task.temperature
            for logits, task in zip(outputs, [self, *others], strict=True)
        ]
        return self._at_temperature(1.0), cat(scaled)

    @override
    def check(self, dataset: Data) -> None:
        if dataset.classes != self.classes:
            raise DataError(
                f"{dataset.folder} has the classes {', '.join(dataset.classes)}; the run "
                f"was trained on {', '.join(self.classes)}, in this order: it can only be "
                "judged on the same",
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
        from lenssim.learn.scores.classification import (
            as_document,
            bootstrap,
            classification_scores,
        )

        probabilities = self.probabilities(outputs).double().numpy()
        labels = labels_of(dataset)[rows]
        check_answers(probabilities, dataset.folder)
        scores = classification_scores(labels, probabilities)
        intervals = bootstrap(labels, probabilities, resamples=resamples, seed=seed)
        return TaskScores(
            metrics=as_document(scores, intervals, self.classes),
            facts=self._facts(outputs, dataset, rows, seed),
            table=self._table(labels, probabilities),
        )

    def _facts(
        self, outputs: Tensor, dataset: ShardDataset, rows: np.ndarray, seed: int
    ) -> dict[str, Any]:
        """Return counts, calibration and pairs of classes, for metrics.json."""
        from lenssim.learn.scores.classification import classification_scores
        from lenssim.learn.scores.pairs import pairs

        labels = labels_of(dataset)[rows]
        raw = self._at_temperature(1.0).probabilities(outputs).double().numpy()
        uncalibrated = classification_scores(labels, raw)
        counts = np.bincount(labels, minlength=len(self.classes)).tolist()
        chi2 = _substructure_chi2(dataset, seed)
        compared: list[dict[str, Any]] = []
        if chi2 is not None:
            probabilities = self.probabilities(outputs).double().numpy()
            compared = pairs(labels, probabilities, self.classes, chi2[rows], seed)
        return {
            "class_counts": dict(zip(self.classes, counts, strict=True)),
            "temperature": self.temperature,
            "before_calibration": {
                name: float(uncalibrated[name]) for name in ("loss", "ece")
            },
            "pairs": compared,
        }

    def _table(
        self, labels: np.ndarray, probabilities: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the columns of predictions.csv."""
        names = np.array(self.classes)
        columns = dict(zip(self.classes, probabilities.T, strict=True))
        predicted = names[probabilities.argmax(axis=1)]
        return {"label": names[labels], "predicted": predicted, **columns}

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return the most probable class as `predicted`, and all `probabilities`."""
        return [
            {
                "predicted": self.classes[int(np.argmax(row))],
                "probabilities": dict(zip(self.classes, row, strict=True)),
            }
            for row in self.probabilities(outputs).tolist()
        ]


def _check_classes(dataset: Data, split: str, rows: np.ndarray) -> None:
    """Raise `DataError` if a split lacks a class."""
    classes = dataset.classes
    counts = np.bincount(labels_of(dataset)[rows], minlength=len(classes))
    missing = [name for name, count in zip(classes, counts, strict=True) if not count]
    if missing:
        raise DataError(
            f"{dataset.folder}: the {split} split ({len(rows)} of {len(dataset)} samples) "
            f"has no {', '.join(missing)}; splits are cut in blocks of 64 samples, so make "
            "at least 256",
            code="split-empty",
            folder=dataset.folder,
            split=split,
        )


def _class_weights(
    config: TrainConfig, classes: tuple[str, ...], labels: np.ndarray
) -> tuple[float, ...] | None:
    """Return the weight of each class; balanced weights have a mean of 1 over the samples."""
    if not isinstance(config, ClassifyConfig) or config.class_weights is None:
        return None
    if config.class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return tuple((len(labels) / (len(classes) * counts)).tolist())
    for name in config.class_weights:
        if name not in classes:
            raise unknown("class in class_weights", name, classes, code="unknown-class")
    return tuple(config.class_weights.get(name, 1.0) for name in classes)


def _substructure_chi2(dataset: ShardDataset, seed: int) -> np.ndarray | None:
    """Return chi squared (n,) of a smooth fit to each image, where the data set knows it."""
    from lenssim.learn.scores.pairs import expected_chi2

    chi2 = dataset.params.get("chi2")
    if chi2 is None and _FREE_CHI2 in dataset.params:
        pixels = int(np.prod(dataset.image_shape))
        chi2 = expected_chi2(dataset.params[_FREE_CHI2], pixels, seed)
    return chi2
