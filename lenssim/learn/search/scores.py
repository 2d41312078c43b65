"""Scores of stamps: how sure a run is that each shows a lens."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import make_folder, write
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.evaluation.prediction import novelties_of, predictions_of
from lenssim.learn.inputs.image_files import usable_images
from lenssim.learn.inputs.problems import Problem
from lenssim.learn.runs.run import Run

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
    from lenssim.errors import IncompleteError

    make_folder(folder / SCORES)
    ensemble = None
    parts = []
    edges = np.cumsum(stamps.info.sizes)[:-1]
    for shard, rows in enumerate(np.split(np.arange(len(stamps)), edges)):
        path = folder / SCORES / f"{shard:06d}.npy"
        if not path.exists():
            if stop():
                raise IncompleteError(
                    f"stopped: {rows[0]} of {len(stamps)} stamps have a score; repeat the "
                    "command to continue",
                    code="stopped",
                )
            if ensemble is None:
                ensemble = Ensemble([run, *others], device, tta=tta)
                novelties = novelties_of([run, *others])
            numbers = _of_rows(ensemble, novelties, stamps, rows)
            write(path, np.ascontiguousarray(numbers).tobytes())
        numbers = np.frombuffer(path.read_bytes(), np.float64).reshape(-1, 2)
        if len(numbers) != len(rows):
            raise DataError(
                f"{path} does not hold {len(rows)} scores: remove it and repeat the command",
                code="scores-damaged",
                path=path,
            )
        parts.append(numbers)
        report(int(rows[-1]) + 1, len(stamps))
    columns = np.concatenate(parts)
    return {"score": columns[:, 0], "novelty": columns[:, 1]}


def _of_rows(
    ensemble: Ensemble, novelties: Sequence[Any], stamps: ShardDataset, rows: np.ndarray
) -> np.ndarray:
    """Return score and novelty (N, 2) of some rows."""
    numbers = np.full((len(rows), 2), np.nan)

    def pass_over(problem: Problem) -> None:
        """A flat stamp has no score."""

    usable = usable_images(
        stamps.images(rows), np.arange(len(rows)), str(stamps.folder), "image", pass_over
    )
    if not len(usable.images):
        return numbers
    for prediction in predictions_of(usable, ensemble, novelties):
        score = score_of(prediction.answer)
        numbers[prediction.image, 0] = np.nan if score is None else score
        if prediction.novelty is not None:
            numbers[prediction.image, 1] = prediction.novelty
    return numbers
