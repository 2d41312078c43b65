"""The question "how much": true parameters of the scenes, with errors that are put right."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np
from pydantic import Field
from torch import Tensor

from lenssim.commands import command
from lenssim.data.streaming.dataset import Batch, ShardDataset
from lenssim.errors import DataError, LenssimError, unknown
from lenssim.learn.config import RegressConfig, TrainConfig
from lenssim.learn.heads import Head, RadialBase, head
from lenssim.learn.heads.gaussian import Gaussian
from lenssim.learn.scores.average import AveragePosterior
from lenssim.learn.scores.calibration import recalibrated
from lenssim.learn.scores.posterior import LEVELS, Posterior
from lenssim.learn.tasks.task import Data, Drawings, Judgement, Task
from lenssim.simulate.distributions import Value
from lenssim.simulate.draw import laws
from lenssim.simulate.preset import parse_preset

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

__all__ = ["Regress"]

_FITTED = ("slopes", "widths", "said_mean", "said_covariance")


class Regress(Task):
    """Targets (N, T), whitened by the mean and spread of the training samples, under a head.

    `slopes` multiply the whitened mean of each target, `widths` its error, and `radii` are those of the head's base
    (`Base.knots`): all are fitted to the validation samples. Several passes are a mixture: its covariance is the mean
    of theirs (aleatoric), and that of their means (epistemic). `prior` is what targets of the training samples were
    drawn from, where that is known; `said_mean` and `said_covariance` are the moments of the answers to all validation
    samples together.
    """

    settings = RegressConfig
    headlines: ClassVar = {
        "error": "68 % error / spread",
        "within_1": "within 1 sigma",
        "joint_1": "jointly",
        "loss": "loss",
    }
    progress: ClassVar = {"rmse": "rms error / spread"}

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
    prior: dict[str, Value] = Field(default={})

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
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
            hint = (
                f"; --only takes one of {', '.join(dataset.classes)}"
                if config.only is None
                else ""
            )
            _all_known(values, config.targets, f"{dataset.folder}, {split} split", hint)
            if split == "train":
                trained = values
        if constant := [
            name
            for name, column in zip(config.targets, trained.T, strict=True)
            if not np.ptp(column)
        ]:
            raise DataError(
                f"{dataset.folder}: {', '.join(constant)} is the same in all samples: nothing to learn"
            )
        return cls(
            columns=config.targets,
            head=config.head,
            only=config.only,
            mean=tuple(trained.mean(0).tolist()),
            spread=tuple(trained.std(0).tolist()),
            low=tuple(trained.min(0).tolist()),
            high=tuple(trained.max(0).tolist()),
            prior=_prior(dataset, config),
        )

    @override
    def usable(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        return _of_class(dataset, rows, self.only)

    @property
    def probability(self) -> Head:
        """How outputs are read."""
        return head(self.head, len(self.columns), RadialBase(self.radii))

    @property
    @override
    def outputs(self) -> int:
        return self.probability.outputs

    @property
    @override
    def title(self) -> str:
        return f"measure {', '.join(self.columns)}" + (
            f" of {self.only}" if self.only else ""
        )

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

    def posterior(self, outputs: Tensor) -> Posterior:
        """What outputs (P, N, K) say, in the targets' own units."""
        return Posterior(
            self.probability,
            outputs,
            np.array(self.mean),
            np.array(self.spread),
            np.array(self.widths or (1.0,) * len(self.columns)),
            np.array(self.slopes or (1.0,) * len(self.columns)),
        )

    @override
    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """With what brings answers to the validation samples closest to the truth."""
        right = recalibrated(self.posterior(outputs), _values(dataset, self.columns, rows))
        said = AveragePosterior.of(right)
        fitted = (right.shrinkage, right.sigma_scale, said.mean, said.covariance)
        own = {name: _tuples(values) for name, values in zip(_FITTED, fitted, strict=True)}
        return self.model_copy(update={"radii": right.head.base.knots, **own})

    @property
    def said(self) -> AveragePosterior | None:
        """What it says of an image that shows nothing, where a head cannot say the prior; None of any other."""
        if not isinstance(self.probability, Gaussian) or not self.said_mean:
            return None
        return AveragePosterior(
            np.array(self.said_mean), np.array(self.said_covariance), self.probability.base
        )

    @override
    def joined(
        self, others: Sequence[Self], outputs: Sequence[Tensor]
    ) -> tuple[Self, Tensor]:
        """The mean of what was fitted to each is taken: beside the scatter of their means rather too wide."""
        tasks = (self, *others)
        own = {name: getattr(self, name) for name in ("radii", *_FITTED)}
        task, together = super().joined(
            [each.model_copy(update=own) for each in others], outputs
        )
        fitted = {
            "radii": RadialBase.mean([RadialBase(each.radii) for each in tasks]).knots
        }
        for name in _FITTED:
            values = [getattr(each, name) for each in tasks]
            fitted[name] = _tuples(np.mean(values, axis=0)) if all(values) else ()
        return task.model_copy(update=fitted), together

    @override
    def check(self, dataset: Data) -> None:
        _values(dataset, self.columns, np.arange(0))
        if self.only is not None and self.only not in dataset.classes:
            raise DataError(
                f"{dataset.folder} has no class {self.only}, of which the run measures {self.columns[0]}"
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
        from lenssim.learn.figures.regression_set import measure_figures, measure_tables
        from lenssim.learn.scores.regression import RegressionScores

        posterior = self.posterior(outputs)
        if not np.isfinite(posterior.mean).all():
            raise DataError(
                f"{dataset.folder}: some images hold NaN; {command('verify', dataset.folder)} names them"
            )
        truth = _values(dataset, self.columns, rows)
        hint = f"; a run trained with --only is judged by that class alone: {', '.join(dataset.classes)}"
        _all_known(
            truth,
            self.columns,
            f"{dataset.folder}, held-out samples",
            hint if self.only is None else "",
        )
        found = RegressionScores(self.columns, posterior, truth, np.array(self.mean), seed)
        bare = RegressionScores(
            self.columns, posterior.uncalibrated, truth, found.baseline, seed
        )
        scores = found.scores(resamples)
        preset = dataset.config.get("preset", {}).get("name")
        return Judgement(
            metrics=scores,
            facts={
                "widths": dict(
                    zip(self.columns, posterior.sigma_scale.tolist(), strict=True)
                ),
                "slopes": dict(
                    zip(self.columns, posterior.shrinkage.tolist(), strict=True)
                ),
                "radii": self.radii,
                **found.facts(),
                "before_calibration": {
                    "within_1": float((bare.central_probability <= LEVELS[1]).mean()),
                    "joint_1": float((bare.joint_probability <= LEVELS[1]).mean()),
                    "chi2": float(bare.distance.mean() / len(self.columns)),
                },
            },
            table=found.table,
            tables=measure_tables(scores["targets"], preset),
            figures=measure_figures(found, scores, dataset, rows, preset, title),
        )

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        return {
            label: own[key]
            for name, own in metrics["targets"].items()
            for label, key in (
                (f"MAE of {name}", "mae"),
                (f"  of always answering the mean {name}", "mae_of_the_mean"),
            )
        }

    @override
    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Drawings:
        """68 % errors of all runs, beside published ones."""
        from lenssim.learn.figures.regression_set import compared_errors

        return compared_errors(self.columns, tables, title)

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Each target with its `sigma`, their covariance, and which are told `outside` what was trained on."""
        posterior = self.posterior(outputs)
        parts = (posterior.covariance, posterior.aleatoric, posterior.epistemic)
        lines = zip(posterior.mean, posterior.uncalibrated_mean, *parts, strict=True)

        def named(values: np.ndarray) -> dict[str, float]:
            return dict(zip(self.columns, values.tolist(), strict=True))

        return [
            {
                "targets": named(mean),
                "sigma": named(np.sqrt(np.diagonal(covariance))),
                "sigma_aleatoric": named(np.sqrt(np.diagonal(aleatoric))),
                "sigma_epistemic": named(np.sqrt(np.diagonal(epistemic))),
                "covariance": covariance.tolist(),
                "outside": [
                    name
                    for name, x, low, high in zip(
                        self.columns, plain, self.low, self.high, strict=True
                    )
                    if not low <= x <= high
                ],
            }
            for mean, plain, covariance, aleatoric, epistemic in lines
        ]

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        line = {
            name: f"{x:.4g} +- {answer['sigma'][name]:.2g}"
            for name, x in answer["targets"].items()
        }
        return {**line, "outside the training range": ", ".join(answer["outside"]) or "no"}


def _tuples(values: np.ndarray) -> tuple:
    """Of numbers, or of tuples of them, as a frozen record takes it."""
    return (
        tuple(_tuples(row) for row in values) if values.ndim > 1 else tuple(values.tolist())
    )


def _values(dataset: Data, names: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
    """True parameters (N, T) of the rows."""
    try:
        return dataset.targets(names, rows)
    except KeyError as error:
        raise unknown(
            f"target in {dataset.folder}", str(error.args[0]), error.args[1]
        ) from None


def _prior(dataset: Data, config: RegressConfig) -> dict[str, Value]:
    """What targets were drawn from, by name: nothing of imported data, nor without the galaxies that a preset shows."""
    try:
        known = (
            laws(parse_preset(dataset.config["preset"]), config.only)
            if "preset" in dataset.config
            else {}
        )
    except LenssimError:
        return {}
    return {name: known[name] for name in config.targets if name in known}


def _all_known(values: np.ndarray, names: Sequence[str], where: str, hint: str) -> None:
    """`DataError` that names the first target of values (N, T) which some samples have not."""
    for name, column in zip(names, values.T, strict=True):
        if missing := int((~np.isfinite(column)).sum()):
            raise DataError(
                f"{where}: {missing} of {len(column)} samples have no {name}{hint}"
            )


def _of_class(dataset: Data, rows: np.ndarray, only: str | None) -> np.ndarray:
    return (
        rows if only is None else rows[dataset.labels[rows] == dataset.classes.index(only)]
    )
