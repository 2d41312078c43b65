"""The question "how much": true parameters of the scenes, as a Gaussian with errors that are put right."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np
import torch
from scipy.stats import chi2, kstest
from torch import Tensor

from lenssim.data.dataset import Batch, ShardDataset
from lenssim.errors import DataError, unknown
from lenssim.learn.config import RegressConfig, TrainConfig
from lenssim.learn.heads import Head, head
from lenssim.learn.tasks.task import Data, Judgement, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

__all__ = ["Regress"]

_LEVELS = {k: math.erf(k / math.sqrt(2)) for k in (1, 2, 3)}  # 68.3, 95.4, 99.7 %
_BINS = 5  # of a target, by its quantiles


class Regress(Task):
    """Targets (N, T), whitened by the mean and spread of the training samples, under a head.

    `inflation` multiplies the covariance; it is fitted to the validation samples. Several passes are a mixture of
    Gaussians: its covariance is the mean of theirs, and that of their means.
    """

    settings = RegressConfig
    headlines: ClassVar = {"error": "68 % error / spread", "within_1": "within 1 sigma", "loss": "loss"}
    progress: ClassVar = {"rmse": "rms error / spread"}

    head: str
    only: str | None
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    inflation: float = 1.0

    @override
    @classmethod
    def fit(cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]) -> Self:
        assert isinstance(config, RegressConfig)
        if config.only is not None and config.only not in dataset.classes:
            raise unknown("class", config.only, dataset.classes)
        for split, numbers in rows.items():
            kept = _of_class(dataset, numbers, config.only)
            values = _values(dataset, config.targets, kept)
            if not len(kept):
                of_class = f" of the class {config.only}" if config.only is not None else ""
                raise DataError(
                    f"{dataset.folder}: the {split} split has no sample{of_class}; splits are cut in blocks of 64 "
                    "samples, so make at least 256"
                )
            hint = f"; --only takes one of {', '.join(dataset.classes)}" if config.only is None else ""
            _all_known(values, config.targets, f"{dataset.folder}, {split} split", hint)
            if split == "train":
                trained = values
        if constant := [name for name, column in zip(config.targets, trained.T, strict=True) if not np.ptp(column)]:
            raise DataError(f"{dataset.folder}: {', '.join(constant)} is the same in all samples: nothing to learn")
        return cls(
            columns=config.targets,
            head=config.head,
            only=config.only,
            mean=tuple(trained.mean(0).tolist()),
            spread=tuple(trained.std(0).tolist()),
            low=tuple(trained.min(0).tolist()),
            high=tuple(trained.max(0).tolist()),
        )

    @override
    def usable(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        return _of_class(dataset, rows, self.only)

    @property
    def probability(self) -> Head:
        """How outputs are read."""
        return head(self.head, len(self.columns))

    @property
    @override
    def outputs(self) -> int:
        return self.probability.outputs

    @property
    @override
    def title(self) -> str:
        return f"measure {', '.join(self.columns)}" + (f" of {self.only}" if self.only else "")

    @property
    @override
    def gives(self) -> str:
        return "each target with its error, and their covariance"

    def whiten(self, targets: Tensor) -> Tensor:
        """Targets (..., T) less their mean, over their spread."""
        return (targets - targets.new_tensor(self.mean)) / targets.new_tensor(self.spread)

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean of -log N of the whitened targets, in nats."""
        whitened = self.whiten(batch["target"].double()).to(outputs.dtype)
        return -self.probability.log_prob(outputs.float(), whitened.float()).mean()

    @override
    def metrics(self) -> "MetricCollection":
        """Root mean square error of the whitened targets."""
        from torchmetrics import MeanSquaredError, MetricCollection

        return MetricCollection({"rmse": MeanSquaredError(squared=False)})

    @override
    def update(self, metrics: "MetricCollection", outputs: Tensor, batch: Batch) -> None:
        whitened = self.whiten(batch["target"].double()).float()
        metrics.update(self.probability.mean(outputs).float().flatten(), whitened.flatten())

    def posterior(self, outputs: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, T) and covariance (N, T, T) in the targets' own units, of outputs (P, N, K)."""
        means = self.probability.mean(outputs.double())
        centre = means.mean(0)
        apart = means - centre
        within = self.probability.covariance(outputs).mean(0)
        between = (apart[..., None] * apart[..., None, :]).mean(0)
        spread = torch.tensor(self.spread, dtype=torch.float64)
        covariance = self.inflation * (within + between) * spread[:, None] * spread
        return (centre * spread + torch.tensor(self.mean, dtype=torch.float64)).numpy(), covariance.numpy()

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """With the covariance of the greatest validation likelihood: chi2 is then T on average."""
        plain = self.model_copy(update={"inflation": 1.0})
        distance = _chi2(*plain.posterior(outputs), _values(dataset, self.columns, rows))
        return self.model_copy(update={"inflation": float(distance.mean() / len(self.columns))})

    @override
    def joined(self, others: Sequence[Self], outputs: Sequence[Tensor]) -> tuple[Self, Tensor]:
        """The mean of their inflations is taken, which without the scatter of their means errs on the wide side."""
        inflations = [each.inflation for each in (self, *others)]
        alike = [each.model_copy(update={"inflation": self.inflation}) for each in others]
        task, together = super().joined(alike, outputs)
        return task.model_copy(update={"inflation": float(np.mean(inflations))}), together

    @override
    def check(self, dataset: Data) -> None:
        _values(dataset, self.columns, np.arange(0))
        if self.only is not None and self.only not in dataset.classes:
            raise DataError(f"{dataset.folder} has no class {self.only}, of which the run measures {self.columns[0]}")

    @override
    def judge(
        self, outputs: Tensor, dataset: ShardDataset, rows: np.ndarray, title: str, resamples: int, seed: int
    ) -> Judgement:
        from lenssim.learn.measures import coverage_figure, distance_figure, interval, truth_figure

        mean, covariance = self.posterior(outputs)
        if not np.isfinite(mean).all():
            raise DataError(f"{dataset.folder}: some images hold NaN; lenssim verify {dataset.folder} names them")
        truth = _values(dataset, self.columns, rows)
        hint = f"; a run trained with --only is judged by that class alone: {', '.join(dataset.classes)}"
        _all_known(truth, self.columns, f"{dataset.folder}, held-out samples", hint if self.only is None else "")
        sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        error, spread = mean - truth, np.array(self.spread)
        distance = _chi2(mean, covariance, truth)
        density = -0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1]) + np.log(spread).sum()

        def score(values: np.ndarray, statistic: Any = np.mean) -> dict[str, float]:
            return interval(values, statistic, resamples, seed)

        def middle(values: np.ndarray, axis: Any = None) -> np.ndarray:
            return np.quantile(values, _LEVELS[1], axis=axis)

        targets = {}
        for k, name in enumerate(self.columns):
            edges = np.unique(np.quantile(truth[:, k], np.linspace(0, 1, _BINS + 1)))
            place = np.clip(np.searchsorted(edges, truth[:, k], side="right") - 1, 0, max(len(edges) - 2, 0))
            targets[name] = {
                "mae": score(np.abs(error[:, k])),
                "mae_of_the_mean": score(np.abs(truth[:, k] - self.mean[k])),
                "rmse": score(error[:, k] ** 2, lambda x, axis=None: np.sqrt(np.mean(x, axis=axis))),
                "bias": score(error[:, k]),
                "error_68": score(np.abs(error[:, k]), middle),
                **{f"within_{n}": score(np.abs(error[:, k]) <= n * sigma[:, k]) for n in _LEVELS},
                "by_bin": [
                    {
                        "from": float(edges[b]),
                        "to": float(edges[b + 1]),
                        "n": int((place == b).sum()),
                        "mae": float(np.abs(error[place == b, k]).mean()),
                        "mae_of_the_mean": float(np.abs(truth[place == b, k] - self.mean[k]).mean()),
                    }
                    for b in range(len(edges) - 1)
                    if (place == b).any()
                ],
            }
        metrics = {
            "error": score((np.abs(error) / spread).mean(1), middle),
            "within_1": score((np.abs(error) <= sigma).mean(1)),
            "loss": score(-density),
            "targets": targets,
        }
        test = kstest(distance, chi2(len(self.columns)).cdf)
        return Judgement(
            metrics=metrics,
            facts={"inflation": self.inflation, "chi2_ks": {"distance": test.statistic, "p_value": test.pvalue}},
            table={
                column: values
                for k, name in enumerate(self.columns)
                for column, values in (
                    (f"{name}_true", truth[:, k]),
                    (name, mean[:, k]),
                    (f"{name}_sigma", sigma[:, k]),
                )
            },
            figures={
                "truth": truth_figure(self.columns, truth, mean, sigma, title),
                "coverage": coverage_figure(self.columns, error / sigma, title),
                "chi2": distance_figure(distance, len(self.columns), title),
            },
        )

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        return {
            label: own[key]
            for name, own in metrics["targets"].items()
            for label, key in ((f"MAE of {name}", "mae"), (f"    of the mean {name}", "mae_of_the_mean"))
        }

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Each target with its `sigma`, their covariance, and which lie `outside` what was trained on."""
        means, covariances = self.posterior(outputs)
        return [
            {
                "targets": dict(zip(self.columns, mean.tolist(), strict=True)),
                "sigma": dict(zip(self.columns, np.sqrt(np.diagonal(covariance)).tolist(), strict=True)),
                "covariance": covariance.tolist(),
                "outside": [
                    name
                    for name, x, low, high in zip(self.columns, mean, self.low, self.high, strict=True)
                    if not low <= x <= high
                ],
            }
            for mean, covariance in zip(means, covariances, strict=True)
        ]

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        line = {name: f"{x:.4g} +- {answer['sigma'][name]:.2g}" for name, x in answer["targets"].items()}
        return {**line, "outside the training range": ", ".join(answer["outside"]) or "no"}


def _values(dataset: Data, names: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
    """True parameters (N, T) of the rows."""
    try:
        return dataset.targets(names, rows)
    except KeyError as error:
        raise unknown(f"target in {dataset.folder}", str(error.args[0]), error.args[1]) from None


def _all_known(values: np.ndarray, names: Sequence[str], where: str, hint: str) -> None:
    """`DataError` that names the first target of values (N, T) which some samples have not."""
    for name, column in zip(names, values.T, strict=True):
        if missing := int((~np.isfinite(column)).sum()):
            raise DataError(f"{where}: {missing} of {len(column)} samples have no {name}{hint}")


def _of_class(dataset: Data, rows: np.ndarray, only: str | None) -> np.ndarray:
    return rows if only is None else rows[dataset.labels[rows] == dataset.classes.index(only)]


def _chi2(mean: np.ndarray, covariance: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances (N,) of truths (N, T)."""
    error = mean - truth
    return np.einsum("ni,ni->n", error, np.linalg.solve(covariance, error[..., None])[..., 0])
