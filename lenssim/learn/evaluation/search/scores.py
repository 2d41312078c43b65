"""Scores of stamps: how sure a run is that each shows a lens."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import make_folder, write
from lenssim.data.format.maps import IMAGE
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError, IncompleteError
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.evaluation.prediction import novelties_of, predictions_of
from lenssim.learn.inputs.image_files import usable_images
from lenssim.learn.inputs.problems import Problem
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.novelty import Novelty

__all__ = ["SCORES", "check_finder", "score_of", "scored"]

SCORES = "scores"
_LENS = ("lens", "lenses")  # names of the class of lenses


def score_of(answer: dict[str, Any]) -> float | None:
    """Return the score of an answer; None if the run does not look for lenses.

    A finder says a `score`. A classifier says the probability of its class `lens`.

    Example:
        >>> score_of({"predicted": "lens", "probabilities": {"nolens": 0.1, "lens": 0.9}})
        0.9
    """
    if "score" in answer:
        return float(answer["score"])
    probabilities = answer.get("probabilities", {})
    for name, probability in probabilities.items():
        if name.casefold() in _LENS:
            return float(probability)
    return None


def check_finder(run: Run) -> None:
    """Refuse a run that does not look for lenses.

    Raises:
        ConfigError: It neither is a finder nor knows a class `lens`.
    """
    task = run.record.task
    classes = getattr(task, "classes", ())
    if run.record.config.task == "find" or any(
        name.casefold() in _LENS for name in classes
    ):
        return
    raise ConfigError(
        f"{run.folder} does not look for lenses: {task.title}; give a run of the task find, "
        "or of classify with a class lens",
        code="run-not-finder",
        folder=run.folder,
        classes=classes,
    )


def scored(
    run: Run,
    stamps: ShardDataset,
    folder: Path,
    *,
    others: Sequence[Run],
    tta: bool,
    device: Any,
    report: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> dict[str, np.ndarray]:
    """Return the scores of all stamps; those of shards that were done before are read.

    Args:
        run: The run.
        stamps: The data set of stamps.
        folder: The folder of the search.
        others: Other runs; the answers of all are averaged.
        tta: Whether each stamp is shown in all symmetries of the training.
        device: Where the networks are computed.
        report: Is told how many stamps of how many are done.
        stop: Whether to begin no further shard.

    Returns:
        Columns (n,): `score`, NaN for a stamp that cannot be asked about, and `novelty`.

    Raises:
        IncompleteError: Work stopped before its end.
    """
    make_folder(folder / SCORES)
    finder = _Finder(run, others, tta, device)
    parts = []
    for shard, rows in enumerate(_shards(stamps)):
        path = folder / SCORES / f"{shard:06d}.npy"
        if not path.exists():
            if stop():
                raise _stopped(int(rows[0]), len(stamps))
            write(path, np.ascontiguousarray(finder.of_rows(stamps, rows)).tobytes())
        parts.append(_read_scores(path, len(rows)))
        report(int(rows[-1]) + 1, len(stamps))
    columns = np.concatenate(parts)
    return {"score": columns[:, 0], "novelty": columns[:, 1]}


def _shards(stamps: ShardDataset) -> list[np.ndarray]:
    """Return the rows of each shard."""
    edges = np.cumsum(stamps.info.sizes)[:-1]
    return np.split(np.arange(len(stamps)), edges)


def _stopped(count: int, total: int) -> IncompleteError:
    return IncompleteError(
        f"stopped: {count} of {total} stamps have a score; repeat the command to continue",
        code="stopped",
    )


def _read_scores(path: Path, count: int) -> np.ndarray:
    """Return the scores and novelties (count, 2) of a shard."""
    data = path.read_bytes()
    if len(data) != 16 * count:
        raise DataError(
            f"{path} does not hold {count} scores: remove it and repeat the command",
            code="scores-damaged",
            path=path,
        )
    return np.frombuffer(data, np.float64).reshape(-1, 2)


def _pass_over(problem: Problem) -> None:
    """Leave a flat stamp without a score."""


class _Finder:
    """The networks, which are loaded when the first stamp is to be scored."""

    def __init__(self, run: Run, others: Sequence[Run], tta: bool, device: Any) -> None:
        self._runs = [run, *others]
        self._tta = tta
        self._device = device

    @cached_property
    def ensemble(self) -> Ensemble:
        """The networks."""
        return Ensemble(self._runs, self._device, tta=self._tta)

    @cached_property
    def novelties(self) -> list[Novelty]:
        """What each run knows of images like its own."""
        return novelties_of(self._runs)

    def of_rows(self, stamps: ShardDataset, rows: np.ndarray) -> np.ndarray:
        """Return score and novelty (N, 2) of some rows."""
        numbers = np.full((len(rows), 2), np.nan)
        places = np.arange(len(rows))
        images = stamps.images(rows)
        usable = usable_images(images, places, str(stamps.folder), IMAGE, _pass_over)
        if not len(usable.images):
            return numbers
        for prediction in predictions_of(usable, self.ensemble, self.novelties):
            numbers[prediction.image] = (
                _number(score_of(prediction.answer)),
                _number(prediction.novelty),
            )
        return numbers


def _number(value: float | None) -> float:
    return np.nan if value is None else value
