"""Finding: one class among all others, ranked by its probability at a stated prevalence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np
from pydantic import Field

from lenssim.data.format.manifest import ClassName
from lenssim.data.streaming.labels import labels_of
from lenssim.errors import ConfigError, DataError, unknown
from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.finding import FindingPresentation
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks.find_config import FindConfig
from lenssim.learn.tasks.task import Task, check_answers

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.learn.tasks.task import Data

__all__ = ["PROPERTIES", "Find"]

PROPERTIES = (
    "theta_E",
    "npix",
    "flux",
    "contrast",
    "magnification",
    "n_images",
    "source_magnitude",
)
"""Truth columns by which completeness is stated, where a data set has them."""
RATES = (0.1, 0.01, 0.001)  # of false positives, at which thresholds are set
_BOUNDS = ((0.02, 50.0), (-20.0, 20.0))  # of slope and offset
_TINY = 1e-12


class Find(Task):
    """Finding the images of the class `positive` among all others.

    A network gives a number (N, 1). Its logistic function, after a slope and an offset, is the
    probability at the share of lenses among the validation images (Platt 1999).
    """

    settings = FindConfig
    invariant: ClassVar[bool] = True
    controls: ClassVar[tuple[str, ...]] = ("twin",)

    classes: tuple[ClassName, ...]
    positive: ClassName
    share: float
    """Share of the found class among the validation images."""
    prevalence: float
    views: str = "mean"
    weights: tuple[float, float] = (1.0, 1.0)
    """Weights in the loss of the others, and of the found class."""
    slope: float = 1.0
    offset: float = 0.0
    thresholds: dict[str, float] = Field(default_factory=dict)
    """Probabilities at `share` above which a rate of the validation's others lies, by rate."""
    members: tuple[int, ...] = ()
    """Passes of each network, where several answer together."""

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        assert isinstance(config, FindConfig)
        classes = dataset.classes
        if config.positive not in classes:
            raise unknown(
                f"class to be found in {dataset.folder}",
                config.positive,
                classes,
                code="unknown-class",
            )
        truth = labels_of(dataset) == classes.index(config.positive)
        for split, numbers in rows.items():
            _check_both(dataset, split, truth[numbers], config.positive)
        share = float(truth[rows["validation"]].mean())
        training_share = float(truth[rows["train"]].mean())
        weights = (1.0, 1.0)
        if config.balanced:
            weights = (0.5 / (1 - training_share), 0.5 / training_share)
        return cls(
            classes=classes,
            positive=config.positive,
            share=share,
            prevalence=config.prevalence or share,
            views=config.views,
            weights=weights,
        )

    @override
    def half_of_batches(
        self, config: TrainConfig, dataset: Data, rows: np.ndarray
    ) -> np.ndarray | None:
        assert isinstance(config, FindConfig)
        if not config.balanced_batches:
            return None
        return self._truth(labels_of(dataset)[rows])

    @property
    @override
    def outputs(self) -> int:
        return 1

    @property
    @override
    def title(self) -> str:
        others = [name for name in self.classes if name != self.positive]
        return f"find {self.positive} among {', '.join(others)}"

    @property
    @override
    def gives(self) -> str:
        return f"a score, and the probability of {self.positive} at a prevalence"

    @property
    @override
    def presentation(self) -> FindingPresentation:
        return FindingPresentation(self.positive)

    @override
    def at_prevalence(self, prevalence: float) -> Self:
        if not 0 < prevalence < 1:
            raise ConfigError(
                f"prevalence is a share between 0 and 1, such as 0.001, got {prevalence}",
                code="option-range",
                option="prevalence",
                value=prevalence,
            )
        return self.model_copy(update={"prevalence": prevalence})

    def _truth(self, labels: Any) -> Any:
        return labels == self.classes.index(self.positive)

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross entropy in nats, both sides weighted."""
        from torch import where
        from torch.nn.functional import binary_cross_entropy_with_logits

        truth = self._truth(batch["label"])
        negative, lens = outputs.new_tensor(self.weights)
        return binary_cross_entropy_with_logits(
            outputs[:, 0], truth.to(outputs), where(truth, lens, negative)
        )

    @override
    def class_logits(self, outputs: Tensor) -> Tensor:
        """Return the logits (N, 2) of the others and of the found class."""
        from torch.nn.functional import pad

        return pad(outputs[:, :1], (1, 0))

    @override
    def metrics(self) -> MetricCollection:
        """Return the AUC and the accuracy."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import BinaryAccuracy, BinaryAUROC

        return MetricCollection(
            {"auc": BinaryAUROC(), "accuracy": BinaryAccuracy()}, compute_groups=False
        )

    @override
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        truth = self._truth(batch["label"])
        metrics.update(outputs[:, 0].float().sigmoid(), truth.long())

    def scores(self, outputs: Tensor, views: str | None = None) -> np.ndarray:
        """Return probabilities (N,) at `share`, joined over passes (P, N, 1).

        Args:
            outputs: Outputs of the network.
            views: mean, or product: the geometric mean, which ranks as the product does.
        """
        logits = self.slope * outputs[..., 0].double().numpy() + self.offset
        if (views or self.views) == "mean":
            return (1 / (1 + np.exp(-logits))).mean(axis=0)
        return np.exp(-np.logaddexp(0, -logits).mean(axis=0))

    def probabilities(self, outputs: Tensor) -> np.ndarray:
        """Return probabilities (N,) at `prevalence`, from outputs (P, N, 1)."""
        from lenssim.learn.scores.finding import shifted

        return shifted(self.scores(outputs), self.share, self.prevalence)

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """Return the task with slope and offset of least validation loss, and thresholds."""
        from scipy.optimize import minimize

        from lenssim.learn.scores.finding import threshold_at

        truth = self._truth(labels_of(dataset)[rows])

        def loss(parameters: np.ndarray) -> float:
            p = self._with_calibration(*parameters).scores(outputs)
            p = p.clip(_TINY, 1 - _TINY)
            return float(-np.log(np.where(truth, p, 1 - p)).mean())

        fitted = minimize(loss, (1.0, 0.0), bounds=_BOUNDS, method="Nelder-Mead")
        task = self._with_calibration(*map(float, fitted.x))
        scores = task.scores(outputs)
        thresholds = {f"{rate:g}": threshold_at(truth, scores, rate) for rate in RATES}
        return task.model_copy(update={"thresholds": thresholds})

    def _with_calibration(self, slope: float, offset: float) -> Self:
        return self.model_copy(update={"slope": slope, "offset": offset})

    @override
    def joined(
        self, others: Sequence[Self], outputs: Sequence[Tensor]
    ) -> tuple[Self, Tensor]:
        """Calibrate each network's outputs by itself, for the share of this task."""
        from torch import cat

        from lenssim.learn.scores.finding import log_odds, mean_thresholds

        members = tuple(len(passes) for passes in outputs)
        if not others:
            return self.model_copy(update={"members": members}), outputs[0]
        tasks = [self, *others]
        own_odds = log_odds(self.share)
        scaled = [
            task.slope * passes + (task.offset + own_odds - log_odds(task.share))
            for task, passes in zip(tasks, outputs, strict=True)
        ]
        joint = self._with_calibration(1.0, 0.0)
        thresholds = mean_thresholds(
            [task.thresholds for task in tasks], [task.share for task in tasks], self.share
        )
        update = {"members": members, "thresholds": thresholds}
        return joint.model_copy(update=update), cat(scaled)

    @override
    def check(self, dataset: Data) -> None:
        if self.positive not in dataset.classes:
            raise DataError(
                f"{dataset.folder} has the classes {', '.join(dataset.classes) or 'unknown'}; "
                f"the run finds {self.positive}: it can only be judged on data that have it",
                code="classes-differ",
                folder=dataset.folder,
                positive=self.positive,
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
        from lenssim.learn.scores.finding_report import FinderState, finding_scores

        check_answers(outputs.numpy(), dataset.folder)
        labels = labels_of(dataset)[rows]
        truth = labels == dataset.classes.index(self.positive)
        names = [name for name in PROPERTIES if name in dataset.params]
        properties = {name: np.asarray(dataset.params[name][rows]) for name in names}
        joint = self._joint_scores(outputs)
        finder = FinderState(self.share, self.prevalence, self.thresholds)
        scores = finding_scores(
            truth,
            joint,
            self._member_scores(outputs),
            finder,
            properties,
            resamples=resamples,
            seed=seed,
        )
        table = {
            "label": np.array(dataset.classes)[labels],
            "score": joint[self.views],
            "probability": self.probabilities(outputs),
            **properties,
        }
        return TaskScores(scores.metrics, scores.facts, table)

    @override
    def judge_control(
        self, outputs: Tensor, dataset: ShardDataset, rows: np.ndarray, **options: int
    ) -> dict[str, Any]:
        """Return the AUC of lenses without their arcs among the others: 0.5 without a leak."""
        from lenssim.learn.scores.finding import intervals

        truth = self._truth(labels_of(dataset)[rows])
        score = self.scores(outputs)
        return {"auc": intervals(truth, [score], self.prevalence, **options)["auc"]}

    def _joint_scores(self, outputs: Tensor) -> dict[str, np.ndarray]:
        """Return the scores (N,), the answer first, by the way in which passes are joined."""
        joint = {self.views: self.scores(outputs)}
        if len(outputs) > 1:
            joint |= {name: self.scores(outputs, name) for name in ("mean", "product")}
        return joint

    def _member_scores(self, outputs: Tensor) -> list[np.ndarray]:
        """Return the scores (N,) of each network; none for one network alone."""
        if len(self.members) < 2:
            return []
        return [self.scores(passes) for passes in outputs.split(self.members)]

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return the score, the probability at the prevalence, and the prevalence."""
        pairs = zip(self.scores(outputs), self.probabilities(outputs), strict=True)
        return [
            {
                "score": float(score),
                "probability": float(probability),
                "prevalence": self.prevalence,
            }
            for score, probability in pairs
        ]


def _check_both(dataset: Data, split: str, truth: np.ndarray, positive: str) -> None:
    """Raise `DataError` if a split lacks the found class or the others."""
    if truth.any() and not truth.all():
        return
    missing = "others" if truth.any() else positive
    raise DataError(
        f"{dataset.folder}: the {split} split ({len(truth)} of {len(dataset)} samples) "
        f"has no {missing}; splits are cut in blocks of 64 samples, so make at least 256",
        code="split-empty",
        folder=dataset.folder,
        split=split,
    )
