"""What a presentation is: how the scores and answers of one task are shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.scores.task_scores import TaskScores

    Figures = Mapping[str, Callable[[], Figure]]
    Tables = Mapping[str, Sequence[Mapping[str, str]]]

__all__ = ["Presentation"]


class Presentation(ABC):
    """Words and pictures of one task. It knows the task's names, and neither networks nor files."""

    headlines: ClassVar[Mapping[str, str]]
    """Main scores of an evaluation: their key in its metrics, and their name."""
    progress: ClassVar[Mapping[str, str]]
    """Scores of a validation: their key in the task's `metrics()`, and their name."""
    captions: ClassVar[Mapping[str, str]] = {}
    """Captions of figures of this task alone, by the name of their file."""

    @abstractmethod
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        """Return an answer as a line of a table, by column."""

    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return scores to print below the headlines, by name; none by default."""
        return {}

    def doubts(self, metrics: Mapping[str, Any]) -> list[str]:
        """Return why a run has learned nothing, as parts of a sentence."""
        return []

    def remarks(self, document: Mapping[str, Any]) -> list[str]:
        """Return further lines on an evaluation, from its metrics.json; none by default."""
        return []

    def tables(self, scores: TaskScores, preset: str | None) -> Tables:
        """Return small tables of an evaluation on data of a preset, by title."""
        return {}

    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        """Return functions that draw the figures of an evaluation, by name.

        Args:
            scores: Scores of the evaluation.
            dataset: Its data set.
            rows: Rows (N,) of the data set that were judged.
            title: Title of the figures.
        """
        return {}

    def compare(
        self, tables: Mapping[str, Mapping[str, np.ndarray]], title: str
    ) -> Figures:
        """Return functions that draw several runs side by side, by name.

        Args:
            tables: Tables of predictions on the same data, by run. A table may also hold
                `snr`, the signal to noise of each image, and its true parameters.
            title: Title of the figures.
        """
        return {}
