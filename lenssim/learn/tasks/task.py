"""What a task is: what is asked of a network, with all that was fitted to ask it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from lenssim.commands import command
from lenssim.errors import ConfigError, DataError
from lenssim.learn.config import TrainConfig
from lenssim.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.data.streaming.source import ImageSource
    from lenssim.learn.figures.presentations.presentation import Presentation
    from lenssim.learn.scores.average import AveragePosterior
    from lenssim.learn.scores.posterior import Posterior
    from lenssim.learn.scores.task_scores import TaskScores
    from lenssim.simulate.distributions import Value

    type Data = ImageSource

__all__ = ["PosteriorReader", "Task", "check_answers"]


class PosteriorReader(Protocol):
    """What population inference needs of a task: its outputs as probabilities of targets."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the T targets."""

    @property
    def prior(self) -> dict[str, Value]:
        """Distributions that the targets were drawn from, by name, where they are known."""

    @property
    def average_posterior(self) -> AveragePosterior | None:
        """The average posterior of the validation images, in place of a prior."""

    def posterior(self, outputs: Tensor) -> Posterior:
        """Read outputs (P, N, K) as posteriors of N images."""


class Task(Record, ABC):
    """What is asked of a network: its loss, its answers and their scores.

    A task is frozen, and plain JSON in run.json. Outputs of a network are (N, K). Those of
    several passes (members of an ensemble, symmetries, draws of a dropout) are (P, N, K).
    """

    settings: ClassVar[type[TrainConfig]]
    """Settings of a training of this task."""
    invariant: ClassVar[bool] = False
    """Whether the answer stays the same when the image is turned or mirrored."""
    controls: ClassVar[tuple[str, ...]] = ()
    """Maps that an evaluation shows in place of the images: they lack what is looked for."""
    columns: tuple[str, ...] = ()
    """True parameters that every batch has to hold, as `target` float64 (N, T)."""

    @classmethod
    @abstractmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        """Fit the task to a data set.

        Args:
            config: Settings of the training.
            dataset: The data set.
            rows: Its rows of the splits `train` and `validation`.

        Raises:
            DataError: The task cannot be asked of these data.
        """

    def usable(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        """Return the rows, of those given (N,), that the task can use; by default all."""
        return rows

    def judged(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        """Return the rows, of those given (N,), that an evaluation judges; by default `usable`."""
        return self.usable(dataset, rows)

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of maps that every batch of a training has to hold; by default none."""
        return ()

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of outputs that a network has to give for an image."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What is asked, in a few words."""

    @property
    @abstractmethod
    def gives(self) -> str:
        """What an answer is, for the model card."""

    @property
    @abstractmethod
    def presentation(self) -> Presentation:
        """Words and pictures of this task."""

    @property
    def posterior_reader(self) -> PosteriorReader | None:
        """The task as a reader of posteriors; None for a task that gives none."""
        return None

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the scalar that training minimises, for outputs (N, K)."""

    def class_logits(self, outputs: Tensor) -> Tensor | None:
        """Return logits (N, C) of classes that exclude each other, from outputs (N, K).

        A task without classes returns None, as by default.
        """
        return None

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Return running scores of a validation, by the keys of `presentation.progress`."""

    @abstractmethod
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        """Add a batch to the scores of a validation."""

    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """Return the task calibrated on validation rows (N,); by default unchanged.

        Args:
            outputs: Outputs (P, N, K) of the trained network for the rows.
            dataset: The data set.
            rows: Its validation rows.
        """
        return self

    def half_of_batches(
        self, config: TrainConfig, dataset: Data, rows: np.ndarray
    ) -> np.ndarray | None:
        """Return which of the rows (N,) make up half of each batch, bool (N,).

        None, as by default, for batches of whatever comes next.
        """
        return None

    def at_prevalence(self, prevalence: float) -> Self:
        """Return the task with probabilities for a share of the found class.

        Raises:
            ConfigError: The task has no such probabilities, as by default.
        """
        raise ConfigError(
            f"a prevalence is stated for runs of find; this one is to {self.title}",
            code="no-prevalence",
            prevalence=prevalence,
        )

    def joined(
        self, others: Sequence[Self], outputs: Sequence[Tensor]
    ) -> tuple[Self, Tensor]:
        """Join the answers of several networks into passes of one task.

        Args:
            others: Tasks of the other networks.
            outputs: Outputs (P, N, K) of this task's network, then of the others.

        Returns:
            The joint task, and its outputs (P, N, K).

        Raises:
            ConfigError: The outputs of the networks mean different things.
        """
        from torch import cat

        if any(task != self for task in others):
            raise ConfigError(
                f"these runs cannot be averaged: {self.title}, but fitted to different data",
                code="runs-differ",
            )
        return self, cat(list(outputs))

    @abstractmethod
    def check(self, dataset: Data) -> None:
        """Raise `DataError` if the task cannot be asked of another data set."""

    @abstractmethod
    def judge(
        self,
        outputs: Tensor,
        dataset: ShardDataset,
        rows: np.ndarray,
        resamples: int,
        seed: int,
    ) -> TaskScores:
        """Score outputs against the truth.

        Args:
            outputs: Outputs (P, N, K) for the rows.
            dataset: The data set.
            rows: Its rows (N,).
            resamples: Number of bootstrap resamples of the intervals.
            seed: Seed of the resamples.

        Raises:
            DataError: Some images hold NaN.
        """

    def judge_control(
        self, outputs: Tensor, dataset: ShardDataset, rows: np.ndarray, **options: int
    ) -> dict[str, Any]:
        """Score outputs for one of `controls`, with the arguments of `judge`."""
        raise NotImplementedError

    @abstractmethod
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return an answer for each image, ready for JSON, from outputs (P, N, K)."""

    def remarks(self, answers: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return what is remarkable of all answers together; by default nothing."""
        return []


def check_answers(answers: np.ndarray, folder: Path) -> None:
    """Raise `DataError` if answers (N, ...) to images of a data set are not finite."""
    import numpy as np

    if not np.isfinite(answers).all():
        raise DataError(
            f"{folder}: some images hold NaN; {command('verify', folder)} names them",
            code="images-not-finite",
            folder=folder,
        )
