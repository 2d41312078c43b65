"""The question "which class": cross entropy, class probabilities, accuracy and AUC."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from lenssim.commands import command
from lenssim.data.format.manifest import ClassName
from lenssim.data.streaming.dataset import Batch, ShardDataset
from lenssim.data.streaming.source import labels_of
from lenssim.errors import DataError, unknown
from lenssim.learn.config import ClassifyConfig, TrainConfig
from lenssim.learn.tasks.task import Data, Drawings, Judgement, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

__all__ = ["Classify"]

_FREE = "delta_chi2"
_DEPENDS = {
    "snr": "signal to noise of the image",
    "delta_chi2_fixed": "expected delta chi2 of the substructure, macro fixed",
    _FREE: "expected delta chi2 of the substructure, macro free",
}
_AGAINST = "The network beside the chi squared that the best smooth lens would leave (kind of lens and noise known)"
_TEMPERATURES = (0.05, 20.0)


class Classify(Task):
    """One of K classes: a network gives logits (N, K), which are divided by `temperature` before their softmax."""

    settings = ClassifyConfig
    headlines: ClassVar = {
        "accuracy": "accuracy",
        "macro_auc": "macro AUC",
        "loss": "loss",
        "ece": "calibration error",
    }
    progress: ClassVar = {"accuracy": "accuracy", "auc": "AUC"}

    invariant: ClassVar = True

    classes: tuple[ClassName, ...]
    temperature: float = 1.0
    weights: tuple[float, ...] | None = None
    """Of the classes in the loss; None: all alike."""

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        labels = labels_of(dataset)
        classes = dataset.classes
        if len(classes) < 2:
            raise DataError(
                f"{dataset.folder} has one class only, {classes[0]}: there is nothing to tell apart"
            )
        for split, numbers in rows.items():
            counts = np.bincount(labels[numbers], minlength=len(classes))
            if missing := [
                name for name, count in zip(classes, counts, strict=True) if not count
            ]:
                raise DataError(
                    f"{dataset.folder}: the {split} split ({len(numbers)} of {len(dataset)} samples) has no "
                    f"{', '.join(missing)}; splits are cut in blocks of 64 samples, so make at least 256"
                )
        return cls(
            classes=classes,
            weights=_weights(config, classes, labels[rows["train"]]),
        )

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

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross entropy, in nats, of the classes by their weights."""
        weights = None if self.weights is None else outputs.new_tensor(self.weights)
        return nn.functional.cross_entropy(outputs, batch["label"], weights)

    @override
    def metrics(self) -> "MetricCollection":
        """Accuracy, and the macro one-vs-rest AUC."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

        count = len(self.classes)
        scores = {
            "accuracy": MulticlassAccuracy(count, average="micro"),
            "auc": MulticlassAUROC(count),
        }
        return MetricCollection(scores, compute_groups=False)

    @override
    def update(self, metrics: "MetricCollection", outputs: Tensor, batch: Batch) -> None:
        metrics.update(outputs.float().softmax(dim=1), batch["label"])

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probabilities (N, K) of the classes, the mean over the passes of outputs (P, N, K)."""
        return (outputs.float() / self.temperature).softmax(dim=-1).mean(dim=0)

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """With the temperature of least validation loss (Guo et al. 2017)."""
        labels = torch.from_numpy(labels_of(dataset)[rows])

        def loss(log_temperature: float) -> float:
            softened = self.model_copy(
                update={"temperature": float(np.exp(log_temperature))}
            )
            return nn.functional.nll_loss(
                softened.probabilities(outputs.double()).log(), labels
            ).item()

        found = minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded")
        return self.model_copy(update={"temperature": float(np.exp(found.x))})

    @override
    def joined(
        self, others: Sequence[Self], outputs: Sequence[Tensor]
    ) -> tuple[Self, Tensor]:
        """Each network's logits are divided by its own temperature."""
        if not others:
            return self, outputs[0]
        scaled = [
            each / task.temperature
            for each, task in zip(outputs, [self, *others], strict=True)
        ]
        return self.model_copy(update={"temperature": 1.0}), torch.cat(scaled)

    @override
    def check(self, dataset: Data) -> None:
        labels_of(dataset)  # refuses a data set without labels
        if dataset.classes != self.classes:
            raise DataError(
                f"{dataset.folder} has the classes {', '.join(dataset.classes)}; the run was trained on "
                f"{', '.join(self.classes)}, in this order: it can only be judged on the same"
            )

    @override
    def judge(
        self,
        outputs: Tensor,
        dataset: ShardDataset,
        rows: np.ndarray,
        title: str,
        resamples: int,
        seed: int,
    ) -> Judgement:
        from lenssim.learn.figures.classification import (
            calibration_figure,
            confusion_figure,
            roc_figure,
        )
        from lenssim.learn.scores.classification import (
            as_document,
            bootstrap,
            classification_scores,
        )
        from lenssim.learn.scores.pairs import expected_chi2, pair_cells, pairs

        p, labels, classes = (
            self.probabilities(outputs).double().numpy(),
            labels_of(dataset)[rows],
            self.classes,
        )
        if not np.isfinite(p).all():
            raise DataError(
                f"{dataset.folder}: some images hold NaN; {command('verify', dataset.folder)} names them"
            )
        scores = as_document(
            classification_scores(labels, p),
            bootstrap(labels, p, resamples=resamples, seed=seed),
            classes,
        )
        raw = (
            self.model_copy(update={"temperature": 1.0})
            .probabilities(outputs)
            .double()
            .numpy()
        )
        bare = classification_scores(labels, raw)
        counts = np.bincount(labels, minlength=len(classes)).tolist()
        area = {name: scores["auc"][name]["value"] for name in classes} | {
            "macro": scores["macro_auc"]["value"]
        }
        names = np.array(classes)
        chi2 = dataset.params.get("chi2")
        if chi2 is None and _FREE in dataset.params:
            chi2 = expected_chi2(
                dataset.params[_FREE], int(np.prod(dataset.image_shape)), seed
            )
        told = [] if chi2 is None else pairs(labels, p, classes, chi2[rows], seed)
        return Judgement(
            metrics=scores,
            facts={
                "class_counts": dict(zip(classes, counts, strict=True)),
                "temperature": self.temperature,
                "before_calibration": {name: float(bare[name]) for name in ("loss", "ece")},
                "pairs": told,
            },
            tables={_AGAINST: pair_cells(told)} if told else {},
            table={
                "label": names[labels],
                "predicted": names[p.argmax(axis=1)],
                **{name: p[:, k] for k, name in enumerate(classes)},
            },
            figures={
                "roc": partial(roc_figure, labels, p, classes, area, title),
                "confusion": partial(
                    confusion_figure,
                    np.asarray(scores["confusion"]["value"]),
                    classes,
                    title,
                ),
                "calibration": partial(
                    calibration_figure, labels, p, scores["ece"]["value"], title
                ),
            },
        )

    @override
    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Drawings:
        """ROC of all runs; accuracy against signal to noise, and against detectability where it is known."""
        from lenssim.learn.figures.comparison import accuracy_figure, roc_figure

        figures = {"roc": partial(roc_figure, tables, self.classes, title)}
        for column, name in _DEPENDS.items():
            if all(column in table for table in tables.values()):
                draw = partial(accuracy_figure, tables, self.classes, column, name, title)
                figures[f"accuracy against {column}"] = draw
        return figures

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        return {f"AUC of {name}": score for name, score in metrics["auc"].items()}

    @override
    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        before = document["before_calibration"]
        lines = [
            f"before calibration: loss {before['loss']:.4f}, calibration error {before['ece']:.4f}"
        ]
        return lines + [
            f"{' / '.join(pair['classes'])}: AUC {pair['value']:.4f}, a fit of the smooth lens {pair['fit']:.4f}"
            for pair in document["pairs"]
        ]

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The most probable class, `predicted`, and the `probabilities` of all."""
        return [
            {
                "predicted": self.classes[int(np.argmax(row))],
                "probabilities": dict(zip(self.classes, row, strict=True)),
            }
            for row in self.probabilities(outputs).tolist()
        ]

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        return {
            "class": answer["predicted"],
            **{name: f"{p:.4f}" for name, p in answer["probabilities"].items()},
        }


def _weights(
    config: TrainConfig, classes: tuple[str, ...], labels: np.ndarray
) -> tuple[float, ...] | None:
    """Weights of the classes, their mean over the samples 1 if balanced; `ConfigError` for classes that are not."""
    asked = config.class_weights if isinstance(config, ClassifyConfig) else None
    if asked is None:
        return None
    if asked == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return tuple((len(labels) / (len(classes) * counts)).tolist())
    for name in asked:
        if name not in classes:
            raise unknown("class in class_weights", name, classes)
    return tuple(asked.get(name, 1.0) for name in classes)
