"""Regression: true parameters of the scenes, with calibrated errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, override

import numpy as np
from pydantic import Field

from lenssim.errors import DataError, unknown
from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.regression import RegressionPresentation
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks.regress_config import RegressConfig
from lenssim.learn.tasks.targets import (
    as_tuples,
    check_finite,
    check_split,
    check_spread,
    priors_of,
    rows_of_class,
    true_values,
    uncalibrated_scores,
)
from lenssim.learn.tasks.task import Task, check_answers
from lenssim.simulate.distributions import Value

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.learn.heads import Head
    from lenssim.learn.scores.average import AveragePosterior
    from lenssim.learn.scores.posterior import Posterior
    from lenssim.learn.tasks.task import Data

__all__ = ["Regress", "RegressConfig"]

_FITTED = ("slopes", "widths", "said_mean", "said_covariance", "sigma_quantiles")


class Regress(Task):
    """Regression of targets (N, T), whitened by the training samples, under a head.

    `slopes` multiply the whitened mean of each target, `widths` its error, and `radii` are
    the knots of the head's radial base. All are fitted to the validation samples. Several
    passes are a mixture: its covariance is the mean of theirs (aleatoric), and that of
    their means (epistemic). `prior` holds the distributions that the targets were drawn
    from, where they are known. `said_mean` and `said_covariance` are the moments of the
    average posterior of all validation samples, and `sigma_quantiles` the quantiles (T, 101)
    of their errors.
    """

    settings = RegressConfig

    head: str
    only: str | None
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    slopes: tuple[float, ...] = ()
    widths: tuple[float, ...] = ()
    radii: tuple[tuple[float, float], ...] = ()
    said_mean: tuple[float, ...] = ()
    said_covariance: tuple[tuple[float, ...], ...] = ()
    sigma_quantiles: tuple[tuple[float, ...], ...] = ()
    prior: dict[str, Value] = Field(default={})

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        assert isinstance(config, RegressConfig)
        if config.only is not None and config.only not in dataset.classes:
            raise unknown("class", config.only, dataset.classes, code="unknown-class")
        for split, numbers in rows.items():
            check_split(dataset, split, numbers, config.targets, config.only)
        train_rows = rows_of_class(dataset, rows["train"], config.only)
        values = true_values(dataset, config.targets, train_rows)
        check_spread(dataset, config.targets, values)
        return cls(
            columns=config.targets,
            head=config.head,
            only=config.only,
            mean=tuple(values.mean(0).tolist()),
            spread=tuple(values.std(0).tolist()),
            low=tuple(values.min(0).tolist()),
            high=tuple(values.max(0).tolist()),
            prior=priors_of(dataset, config.targets, config.only),
        )

    @override
    def usable(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        return rows_of_class(dataset, rows, self.only)

    @property
    def probability(self) -> Head:
        """The head that reads outputs as a probability of the targets."""
        from lenssim.learn.heads import RadialBase, head

        return head(self.head, len(self.columns), RadialBase(self.radii))

    @property
    @override
    def outputs(self) -> int:
        return self.probability.outputs

    @property
    @override
    def title(self) -> str:
        of_class = f" of {self.only}" if self.only else ""
        return f"measure {', '.join(self.columns)}{of_class}"

    @property
    @override
    def gives(self) -> str:
        return "each target with its error, and their covariance"

    @property
    @override
    def presentation(self) -> RegressionPresentation:
        return RegressionPresentation(self.columns)

    @property
    @override
    def posterior_reader(self) -> Self:
        return self

    def whiten(self, targets: Tensor) -> Tensor:
        """Return targets (..., T) less their mean, over their spread."""
        return (targets - targets.new_tensor(self.mean)) / targets.new_tensor(self.spread)

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean negative log density of the whitened targets, in nats."""
        whitened = self.whiten(batch["target"].double()).to(outputs.dtype)
        return -self.probability.log_prob(outputs.float(), whitened.float()).mean()

    @override
    def metrics(self) -> MetricCollection:
        """Return the root mean square error of the whitened targets."""
        from torchmetrics import MeanSquaredError, MetricCollection

        return MetricCollection({"rmse": MeanSquaredError(squared=False)})

    @override
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        whitened = self.whiten(batch["target"].double()).float()
        metrics.update(self.probability.mean(outputs).float().flatten(), whitened.flatten())

    def posterior(self, outputs: Tensor) -> Posterior:
        """Return the posteriors in the targets' own units, for outputs (P, N, K)."""
        from lenssim.learn.scores.posterior import Posterior

        ones = (1.0,) * len(self.columns)
        return Posterior(
            self.probability,
            outputs,
            np.array(self.mean),
            np.array(self.spread),
            np.array(self.widths or ones),
            np.array(self.slopes or ones),
        )

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """Return the task calibrated on the validation samples.

        Fitted are the shrinkage of the means, the scale of the errors and the radial
        profile.
        """
        from lenssim.learn.scores.average import AveragePosterior
        from lenssim.learn.scores.calibration import recalibrated
        from lenssim.learn.scores.widths import width_quantiles

        truth = true_values(dataset, self.columns, rows)
        posterior = recalibrated(self.posterior(outputs), truth)
        average = AveragePosterior.of(posterior)
        values = (
            posterior.shrinkage,
            posterior.sigma_scale,
            average.mean,
            average.covariance,
            width_quantiles(posterior.sigma),
        )
        fitted = {
            name: as_tuples(array) for name, array in zip(_FITTED, values, strict=True)
        }
        knots = posterior.head.base.knots
        return self.model_copy(update={"radii": knots, **fitted})

    @property
    def average_posterior(self) -> AveragePosterior | None:
        """The average posterior of the validation images, of a Gaussian head.

        Population inference divides by it in place of the prior, because a Gaussian head
        cannot represent a prior of another shape. None for other heads.
        """
        from lenssim.learn.heads.gaussian import Gaussian
        from lenssim.learn.scores.average import AveragePosterior

        probability = self.probability
        if not isinstance(probability, Gaussian) or not self.said_mean:
            return None
        covariance = np.array(self.said_covariance)
        return AveragePosterior(np.array(self.said_mean), covariance, probability.base)

    @override
    def joined(
        self, others: Sequence[Self], outputs: Sequence[Tensor]
    ) -> tuple[Self, Tensor]:
        """Take the mean of the calibrations; the joint errors are then rather wide."""
        from lenssim.learn.heads import RadialBase

        tasks = (self, *others)
        calibration = {name: getattr(self, name) for name in ("radii", *_FITTED)}
        calibrated_tasks = [task.model_copy(update=calibration) for task in others]
        joint, passes = super().joined(calibrated_tasks, outputs)
        fitted = {
            "radii": RadialBase.mean([RadialBase(task.radii) for task in tasks]).knots
        }
        for name in _FITTED:
            values = [getattr(task, name) for task in tasks]
            fitted[name] = as_tuples(np.mean(values, axis=0)) if all(values) else ()
        return joint.model_copy(update=fitted), passes

    @override
    def check(self, dataset: Data) -> None:
        true_values(dataset, self.columns, np.arange(0))
        if self.only is not None and self.only not in dataset.classes:
            raise DataError(
                f"{dataset.folder} has no class {self.only}, "
                f"of which the run measures {self.columns[0]}",
                code="no-class",
                folder=dataset.folder,
                only=self.only,
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
        from lenssim.learn.scores.regression import RegressionScores

        posterior = self.posterior(outputs)
        check_answers(posterior.mean, dataset.folder)
        truth = true_values(dataset, self.columns, rows)
        self._check_truth(dataset, truth)
        measured = RegressionScores(
            self.columns, posterior, truth, np.array(self.mean), seed
        )
        return TaskScores(
            metrics=measured.scores(resamples),
            facts={
                "widths": self._by_target(posterior.sigma_scale),
                "slopes": self._by_target(posterior.shrinkage),
                "radii": self.radii,
                **measured.facts(),
                "before_calibration": uncalibrated_scores(measured),
            },
            table=measured.table,
            evidence=measured,
        )

    def _check_truth(self, dataset: ShardDataset, truth: np.ndarray) -> None:
        """Raise `DataError` if some samples lack a target."""
        classes = ", ".join(dataset.classes)
        hint = f"; a run trained with --only is judged by that class alone: {classes}"
        if self.only is not None:
            hint = ""
        check_finite(truth, self.columns, f"{dataset.folder}, held-out samples", hint)

    def _by_target(self, values: np.ndarray) -> dict[str, float]:
        """Return values (T,) by the name of their target."""
        return dict(zip(self.columns, values.tolist(), strict=True))

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return each target with its `sigma`, and the covariance of all targets.

        `outside` names the targets that lie outside the range of the training samples.
        `as_wide_in_validation` is the share of validation images whose error is at least as
        large, and `unsure` names the targets of which this share is small.
        """
        from lenssim.learn.scores.widths import certainties

        posterior = self.posterior(outputs)
        quantiles = np.array(self.sigma_quantiles)
        return [
            {
                "targets": self._by_target(mean),
                "sigma": self._by_target(np.sqrt(np.diagonal(covariance))),
                "sigma_aleatoric": self._by_target(np.sqrt(np.diagonal(aleatoric))),
                "sigma_epistemic": self._by_target(np.sqrt(np.diagonal(epistemic))),
                "covariance": covariance.tolist(),
                "outside": self._outside(uncalibrated_mean),
                **certainty,
            }
            for mean, uncalibrated_mean, covariance, aleatoric, epistemic, certainty in zip(
                posterior.mean,
                posterior.uncalibrated_mean,
                posterior.covariance,
                posterior.aleatoric,
                posterior.epistemic,
                certainties(self.columns, posterior.sigma, quantiles),
                strict=True,
            )
        ]

    @override
    def remarks(self, answers: Sequence[Mapping[str, Any]]) -> list[str]:
        """Name the targets of which all answers are nearly the same."""
        from lenssim.learn.scores.widths import remarks_on_alike

        means = [[answer["targets"][name] for name in self.columns] for answer in answers]
        return remarks_on_alike(self.columns, np.array(means), np.array(self.spread))

    def _outside(self, values: np.ndarray) -> list[str]:
        """Name the targets whose values (T,) lie outside the range of the training."""
        limits = zip(self.columns, values, self.low, self.high, strict=True)
        return [name for name, value, low, high in limits if not low <= value <= high]
