"""Anomalies: which images are unlike those of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np

from lenssim.data.format.manifest import ClassName
from lenssim.data.streaming.labels import labels_of
from lenssim.errors import DataError, unknown
from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.anomaly import AnomalyPresentation
from lenssim.learn.nets.detection.facts import FACTS, fact
from lenssim.learn.scores.anomaly import Conditions, conformal_p, outlier_share
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks.anomaly_config import AnomalyConfig
from lenssim.learn.tasks.task import Task, check_answers
from lenssim.notes import note

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.learn.tasks.task import Data

__all__ = ["Anomaly"]

_CONDITIONS = ("noise", "flux", "radius")
_LOOKED_AT = 256  # images by which constant data are known
_NOISE_FACTOR = 1.25  # beyond all validation images and their scatter, noise is another one
_CONTAMINATED = 0.01  # share of images that stand out, which a clean set does not have


class Anomaly(Task):
    """Telling images that are unlike those of the class `normal`.

    A detector gives the numbers `FACTS` and a map for each image, (N, 7 + C H W). The score is
    conditional: how far it lies above that of usual images of the same noise, light and radius.
    """

    settings = AnomalyConfig
    invariant: ClassVar[bool] = False  # maps turn with the image

    detector: str
    normal: ClassName
    shape: tuple[int, int, int]
    alarm_rate: float = 0.01
    unlabelled: bool = False
    conditions: Conditions = Conditions()
    noise: tuple[float, float] | None = None
    """Logarithms of the lowest and highest noise that the detector knows."""
    calibration: tuple[float, ...] = ()
    """Conditional scores of usual validation images, for conformal p-values."""
    outliers: float = 0.0
    """Share of the validation images that stand out."""

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        assert isinstance(config, AnomalyConfig)
        task = cls(
            detector=config.detector,
            normal=config.normal,
            shape=dataset.image_shape,
            alarm_rate=config.alarm_rate,
            unlabelled=config.unlabelled,
        )
        for split, numbers in rows.items():
            task._check_split(dataset, split, task.usable(dataset, numbers))
        return task

    def _check_split(self, dataset: Data, split: str, rows: np.ndarray) -> None:
        """Raise `DataError` if a split has no usual image, or only constant ones."""
        if not len(rows):
            raise DataError(
                f"{dataset.folder}: the {split} split ({len(dataset)} samples in all) has no "
                f"{self.normal}; splits are cut in blocks of 64 samples, so make at least 256",
                code="split-empty",
                folder=dataset.folder,
                split=split,
            )
        images = dataset.images(rows[:_LOOKED_AT])
        if (images.max(axis=(1, 2, 3)) == images.min(axis=(1, 2, 3))).all():
            raise DataError(
                f"{dataset.folder}: the images of the {split} split are constant: there is "
                "nothing to learn; lenssim show draws them",
                code="images-constant",
                folder=dataset.folder,
                split=split,
            )

    @override
    def usable(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        """Return the rows of the usual class; all of them for unlabelled trainings."""
        if self.unlabelled:
            return rows
        classes = dataset.classes
        labels = labels_of(dataset)
        if self.normal not in classes:
            raise unknown(
                f"class to be learned from in {dataset.folder}",
                self.normal,
                classes,
                code="unknown-class",
            )
        return rows[labels[rows] == classes.index(self.normal)]

    @override
    def judged(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        """Return all rows: anomalies are judged, too."""
        return rows

    @property
    @override
    def outputs(self) -> int:
        return len(FACTS) + int(np.prod(self.shape))

    @property
    @override
    def title(self) -> str:
        learned = "all images" if self.unlabelled else self.normal
        return (
            f"tell what is unlike {self.normal} ({self.detector}, learned from {learned})"
        )

    @property
    @override
    def gives(self) -> str:
        return f"a score, and the share of {self.normal} that scores as high"

    @property
    @override
    def presentation(self) -> AnomalyPresentation:
        return AnomalyPresentation(self.normal)

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared residual of the scaled images."""
        return fact(outputs, "mse").mean()

    @override
    def metrics(self) -> MetricCollection:
        """Return the mean score of a validation, which has usual images alone."""
        from torchmetrics import MeanMetric, MetricCollection

        return MetricCollection({"score": MeanMetric()}, compute_groups=False)

    @override
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        metrics.update(fact(outputs, "score"))

    def fact(self, outputs: Tensor, name: str) -> np.ndarray:
        """Return a number (N,) of each image, the mean over passes (P, N, K)."""
        return fact(outputs, name).double().mean(dim=0).numpy()

    def pictures(self, outputs: Tensor) -> np.ndarray:
        """Return maps (N, C, H, W) of where images are unusual, in units of the noise."""
        pixels = outputs[..., len(FACTS) :].mean(dim=0)
        return pixels.unflatten(1, self.shape).numpy()

    def _conditions(self, outputs: Tensor) -> np.ndarray:
        """Return what scores depend on, (N, 3)."""
        return np.column_stack([self.fact(outputs, name) for name in _CONDITIONS])

    def scores(self, outputs: Tensor) -> np.ndarray:
        """Return conditional scores (N,): deviations above those of like usual images."""
        scores = self.fact(outputs, "score")
        return self.conditions.excess(scores, self._conditions(outputs))

    def p_values(self, outputs: Tensor) -> np.ndarray:
        """Return conformal p-values (N,); NaN where the noise is not that of the training."""
        p_values = conformal_p(self.scores(outputs), np.asarray(self.calibration))
        return np.where(self.foreign(outputs), np.nan, p_values)

    def foreign(self, outputs: Tensor) -> np.ndarray:
        """Tell which images (N,) have noise that the detector does not know."""
        noise = self.fact(outputs, "noise")
        if self.noise is None:
            return np.zeros(len(noise), bool)
        low, high = self.noise
        return ~((noise >= low) & (noise <= high))

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """Return the task with its regression of scores, and scores of other usual images.

        Every second validation image serves the regression, the others the p-values.
        """
        check_answers(outputs[..., : len(FACTS)].numpy(), dataset.folder)
        scores = self.fact(outputs, "score")
        conditions = self._conditions(outputs)
        fitted = Conditions.fit(scores[::2], conditions[::2])
        noise = self.fact(outputs, "noise")
        margin = float(np.log(_NOISE_FACTOR) + noise.std())
        excess = fitted.excess(scores, conditions)
        outliers = outlier_share(excess)
        calibration = np.sort(excess[1::2])
        self._note_doubts(outliers, len(calibration))
        update = {
            "conditions": fitted,
            "noise": (float(noise.min()) - margin, float(noise.max()) + margin),
            "calibration": tuple(calibration.tolist()),
            "outliers": outliers,
        }
        return self.model_copy(update=update)

    def _note_doubts(self, outliers: float, count: int) -> None:
        """Say if the usual images seem to hold others, or are too few for any alarm."""
        if outliers > _CONTAMINATED:
            note(
                f"lenssim: {100 * outliers:.1f} % of the validation images stand out: they "
                f"may be no {self.normal}, and p-values would then hide others like them"
            )
        needed = int(np.ceil(1 / self.alarm_rate)) - 1
        if count < needed:
            note(
                f"lenssim: {count} usual validation images cannot raise alarms at a rate of "
                f"{self.alarm_rate:g}: p-values need {needed}, so train with "
                f"{20 * needed} {self.normal} or more"
            )

    @override
    def check(self, dataset: Data) -> None:
        if dataset.labels is None or self.normal not in dataset.classes:
            raise DataError(
                f"{dataset.folder} has the classes {', '.join(dataset.classes) or 'unknown'}; "
                f"alarms are judged beside images of {self.normal}; lenssim predict answers "
                "for images of no class",
                code="classes-differ",
                folder=dataset.folder,
                normal=self.normal,
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
        from lenssim.learn.scores.anomaly_report import Detected, anomaly_scores

        check_answers(outputs[..., : len(FACTS)].numpy(), dataset.folder)
        foreign = self.foreign(outputs)
        self._check_noise(dataset, foreign)
        facts = {name: self.fact(outputs, name) for name in FACTS}
        detected = Detected(
            self.normal,
            self.alarm_rate,
            self.scores(outputs),
            self.p_values(outputs),
            facts,
            self.pictures(outputs),
        )
        report = anomaly_scores(detected, dataset, rows, seed)
        extra = {"outliers": self.outliers, "foreign_noise": float(foreign.mean())}
        return TaskScores(
            report.metrics, report.facts | extra, report.table, report.evidence
        )

    def _check_noise(self, dataset: ShardDataset, foreign: np.ndarray) -> None:
        """Raise `DataError` if most images have noise that the detector does not know."""
        if foreign.mean() <= 0.5:
            return
        raise DataError(
            f"{dataset.folder}: the noise of {int(foreign.sum())} of {len(foreign)} images is "
            "not that of the training: a detector cannot judge them; train on images of this "
            "noise",
            code="noise-differs",
            folder=dataset.folder,
            share=float(foreign.mean()),
        )

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return score, p-value and alarm; of images with unknown noise the score alone."""
        chi2 = self.fact(outputs, "chi2")
        columns = (self.scores(outputs), self.p_values(outputs), chi2)
        return [
            {
                "score": float(score),
                "p": None if np.isnan(p) else float(p),
                "alarm": None if np.isnan(p) else bool(p <= self.alarm_rate),
                "chi2": float(squared),
                "noise_known": not np.isnan(p),
            }
            for score, p, squared in zip(*columns, strict=True)
        ]

    @override
    def remarks(self, answers: Sequence[Mapping[str, Any]]) -> list[str]:
        foreign = sum(not answer["noise_known"] for answer in answers)
        if not foreign:
            return []
        return [
            f"{foreign} of {len(answers)} images have noise that is not that of the "
            "training: no alarm is raised or denied for them"
        ]
