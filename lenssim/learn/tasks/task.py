"""What a task is: a question with all that was fitted to ask it, so that a run's record holds the whole of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from lenssim.data.streaming.dataset import Batch, ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.errors import ConfigError
from lenssim.learn.config import TrainConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torchmetrics import MetricCollection

__all__ = ["Data", "Drawings", "Judgement", "Task"]

Data = ShardDataset | LiveDataset
Drawings = Mapping[str, Callable[[], "Figure"]]
"""Functions that draw figures, by name."""


@dataclass(frozen=True)
class Judgement:
    """What an evaluation found: scores for metrics.json, more facts beside them, a table by sample, and by name smaller
    tables to be shown and functions that draw figures.
    """

    metrics: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    table: Mapping[str, np.ndarray] = field(default_factory=dict)
    figures: Drawings = field(default_factory=dict)
    tables: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)


class Task(BaseModel, ABC):
    """A question asked of a network, its loss, its answers and their scores; frozen and plain JSON in run.json.

    Outputs of a network are (N, K); those of several passes (members of an ensemble, symmetries of the sky, draws of
    a dropout) are (P, N, K).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: ClassVar[type[TrainConfig]]
    """What a training of this task can be told."""
    headlines: ClassVar[Mapping[str, str]]
    """Scores of an evaluation to print and to put in tables: their key in its metrics, and their name."""
    progress: ClassVar[Mapping[str, str]]
    """Scores of a validation: their key in `metrics()`, and their name."""
    invariant: ClassVar[bool] = False
    """Whether the answer stays what it is when the image is turned or mirrored."""
    columns: tuple[str, ...] = ()
    """True parameters wanted in every batch, as `target` float64 (N, T)."""

    @classmethod
    @abstractmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        """The task for a data set and the rows of its splits `train` and `validation`; `DataError` if it cannot be
        asked of them.
        """

    def usable(self, dataset: Data, rows: np.ndarray) -> np.ndarray:
        """Those of the rows (N,) that the task is asked of; by default all."""
        return rows

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers a network has to give for an image."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What is asked, in a few words."""

    @property
    @abstractmethod
    def gives(self) -> str:
        """What an answer is, for the model card."""

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """What training makes small, a scalar, of outputs (N, K)."""

    @abstractmethod
    def metrics(self) -> "MetricCollection":
        """Running scores of a validation, by the keys of `progress`."""

    @abstractmethod
    def update(self, metrics: "MetricCollection", outputs: Tensor, batch: Batch) -> None:
        """Add a batch to the scores."""

    def calibrated(self, outputs: Tensor, dataset: Data, rows: np.ndarray) -> Self:
        """The task, its answers put right by outputs (P, N, K) for the validation rows (N,); by default as it is."""
        return self

    def joined(
        self, others: Sequence[Self], outputs: Sequence[Tensor]
    ) -> tuple[Self, Tensor]:
        """One task, and outputs (P, N, K), for those of this task's network and then of the others' networks.

        `ConfigError` if their outputs mean different things.
        """
        if any(other != self for other in others):
            raise ConfigError(
                f"these runs cannot be averaged: {self.title}, but fitted to different data"
            )
        return self, torch.cat(list(outputs))

    @abstractmethod
    def check(self, dataset: Data) -> None:
        """`DataError` if the task cannot be asked of a data set other than that of its training."""

    @abstractmethod
    def judge(
        self,
        outputs: Tensor,
        dataset: ShardDataset,
        rows: np.ndarray,
        title: str,
        resamples: int,
        seed: int,
    ) -> Judgement:
        """Scores with intervals of the outputs (P, N, K) for rows (N,), tables and figures; `DataError` for NaN."""

    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Drawings:
        """Figures that set runs side by side, of their tables of `judge` on the same data; none by default.

        A table may hold `snr`, the signal to noise of an image, and its true parameters too.
        """
        return {}

    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Scores of an evaluation to print below its headlines, by name; none by default."""
        return {}

    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        """What else there is to say of an evaluation, of what its metrics.json holds, in lines; nothing by default."""
        return []

    @abstractmethod
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """What is said of each image: as JSON takes it, of outputs (P, N, K)."""

    @abstractmethod
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        """An answer as a line of a table, by column."""
