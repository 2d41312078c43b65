"""Evaluation: the scores of a run on samples that it was not trained on."""

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenssim.data.format.bands import shape_words
from lenssim.data.format.files import read_json, write, write_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.controls import control_scores
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.evaluation.prediction import novelties_of
from lenssim.learn.figures.classification import curves_figure
from lenssim.learn.figures.style import save_if_possible
from lenssim.learn.inputs.image_files import check_bands, check_scale
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.hashes import ABSENT, file_sha256
from lenssim.learn.runs.overlap import held_out
from lenssim.learn.runs.record import identify, versions
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.novelty import most_unlike
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks import Task

__all__ = ["evaluate", "evaluation_folder", "finished_evaluation", "read_table"]

_INTERVALS = {"kind": "bootstrap percentile", "level": 0.95}
_METRICS = "metrics.json"
_TABLE = "predictions.csv"
COMPARED_IMAGES = 4096  # at most so many are compared with the training data


def evaluation_folder(
    run: Run,
    dataset: ShardDataset,
    others: Sequence[Run] = (),
    tta: bool = False,
    prevalence: float | None = None,
) -> Path:
    """Return the folder of an evaluation. The arguments are those of `evaluate`."""
    name = f"evaluation-{dataset.fingerprint[:8]}"
    if others:
        name += f"-with-{_joint_digest(others)[:8]}"
    if tta:
        name += "-tta"
    if prevalence is not None:
        name += f"-at-{prevalence:g}"
    return run.outputs / name


def finished_evaluation(
    run: Run, dataset: ShardDataset, others: Sequence[Run] = (), tta: bool = False
) -> dict[str, Any] | None:
    """Return what `evaluate` returned earlier, if it need not be repeated.

    The weights and the data must be the same as then, and all files must exist. The arguments
    are those of `evaluate`. The result is None if a new evaluation is needed.

    Raises:
        DataError: The weights are damaged, or of another run.
    """
    folder = evaluation_folder(run, dataset, others, tta)
    digest = run.digest
    try:
        document = read_json(folder / _METRICS)
    except DataError:
        return None
    if document["run"]["checkpoint_sha256"] != digest:
        return None
    if document["data"]["fingerprint"] != dataset.fingerprint:
        return None
    has_figures = all((folder / name).is_file() for name in document.get("figures", ()))
    if has_figures and _table_is_whole(folder, document):
        return document
    return None


def evaluate(
    run: Run,
    dataset: ShardDataset,
    *,
    others: Sequence[Run] = (),
    tta: bool = False,
    prevalence: float | None = None,
    device: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Judge a run's best weights on the held-out samples of a data set.

    The scores are written before the figures are drawn. If a figure fails, a warning says so, and
    the scores remain.

    Args:
        run: The run.
        dataset: The data set. Every shard with evaluated samples is checked byte for byte.
        others: Further runs. If given, the mean of the answers of all runs is judged.
        tta: Judge the mean of the answers to all mirror images and rotations that the training used.
        prevalence: Share of the found class for which a finder's purities are stated.
        device: Device that computes the networks.
        resamples: Number of bootstrap resamples for the intervals.
        seed: Seed of the resamples.
        say: Function that is called with a line of text: how many images are judged, and which.

    Returns:
        The content of metrics.json in `evaluation_folder`. Beside it lie predictions.csv and the
        figures.

    Raises:
        DataError: Classes or image shape differ from the run's, no sample is held out, or a file is
            damaged.
        VerificationError: A shard differs from what was written.
        StorageError: The run's folder cannot be written into.
    """
    _check(run, dataset)
    rows, which = held_out(run, dataset, others)
    say(f"judging {run.folder} on {len(rows)} of {len(dataset)} images: {which}")
    _check_rows(dataset, rows, which)
    ensemble = Ensemble([run, *others], pick_device(device), tta=tta, prevalence=prevalence)
    task, outputs = ensemble.of(dataset, rows)
    scores = task.judge(outputs, dataset, rows, resamples, seed)
    options = {"resamples": resamples, "seed": seed}
    controls = control_scores(ensemble, task, dataset, rows, **options)
    table = _csv({"index": dataset.index[rows], **scores.table}).encode()
    title = _title(run, ensemble, dataset, rows)
    figures = _figures(run, task, scores, dataset, rows, title)
    document = {
        "format": "lenssim-evaluation/1",
        **_subject(run, others, ensemble, dataset),
        "samples": which,
        "n": len(rows),
        **_unlike([run, *others], dataset, rows),
        **scores.facts,
        "tables": dict(task.presentation.tables(scores, _preset_name(dataset))),
        "metrics": {**scores.metrics, **controls},
        "intervals": _INTERVALS | options,
        "versions": versions(),
        "files": {_TABLE: hashlib.sha256(table).hexdigest()},
        "figures": sorted(figures),
    }
    folder = evaluation_folder(run, dataset, others, tta, prevalence)
    _write(folder, document, table, figures)
    return document


def _check_rows(dataset: ShardDataset, rows: np.ndarray, which: str) -> None:
    """Raise `DataError` if there are no rows to judge; `which` says how they were chosen."""
    if len(rows):
        return
    if which.startswith("all of them"):
        raise DataError(
            f"{dataset.folder} holds no image to judge by: {which}; take other images",
            code="no-images",
            folder=dataset.folder,
            which=which,
        )
    raise DataError(
        f"{dataset.folder}: no samples are held out (the test blocks begin at sample 192); "
        "generate a larger data set, or one with another --seed",
        code="split-empty",
        folder=dataset.folder,
    )


def _title(run: Run, ensemble: Ensemble, dataset: ShardDataset, rows: np.ndarray) -> str:
    """Return the title of the figures."""
    name = run.record.config.label
    if ensemble.passes > 1:
        name += f", {ensemble.passes} answers averaged"
    return f"{name} on {identify(dataset).title}, {len(rows)} held-out images"


def _subject(
    run: Run, others: Sequence[Run], ensemble: Ensemble, dataset: ShardDataset
) -> dict[str, Any]:
    """Return the entries of metrics.json that name the runs and the data set."""
    record = run.record
    return {
        "run": {
            "net": record.config.label,
            "parameters": record.parameters,
            "checkpoint_sha256": run.digest,
            "trained_on": record.data.model_dump(mode="json"),
        },
        "passes": {"runs": 1 + len(others), "answers": ensemble.passes},
        "data": identify(dataset).model_dump(mode="json"),
        **_resampled(dataset),
    }


def _resampled(dataset: ShardDataset) -> dict[str, Any]:
    """Return the entry of metrics.json that says how images came to the pixels of the run."""
    remark = getattr(dataset, "remark", "")
    if not remark:
        return {}
    return {"pixels": remark}


def _preset_name(dataset: ShardDataset) -> str | None:
    """Return the name of the preset that a data set was drawn from."""
    if dataset.spec is None:
        return None
    return dataset.spec.preset.name


def _figures(
    run: Run,
    task: Task,
    scores: TaskScores,
    dataset: ShardDataset,
    rows: np.ndarray,
    title: str,
) -> dict[str, Callable[[], Figure]]:
    """Return functions that draw the figures of an evaluation, by the name of their file."""
    record = run.record
    task_figures = task.presentation.figures(scores, dataset, rows, title)
    figures = {f"{name}.png": draw for name, draw in task_figures.items()}
    epochs = run.epochs()
    if epochs and record.result is not None:
        figures["curves.png"] = partial(
            curves_figure,
            epochs,
            record.task.presentation.progress,
            record.result.best_epoch,
            f"{record.config.label} trained on {record.data.title}",
        )
    return figures


def _write(
    folder: Path,
    document: dict[str, Any],
    table: bytes,
    figures: Mapping[str, Callable[[], Figure]],
) -> None:
    """Write the table and the numbers, then the figures."""
    make_folder(folder)
    write(folder / _TABLE, table)
    write_json(folder / _METRICS, document)
    for name, draw in figures.items():
        save_if_possible(draw, folder / name)


def read_table(folder: Path) -> dict[str, np.ndarray]:
    """Return the columns of predictions.csv in the folder of an evaluation, by name.

    All values are texts.

    Raises:
        DataError: The table is missing or damaged.
    """
    path = folder / _TABLE
    if not _table_is_whole(folder, read_json(folder / _METRICS)):
        raise DataError(
            f"{path} is missing or not the table that lenssim evaluate wrote; repeat lenssim evaluate",
            code="table-missing",
            path=path,
        )
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return {name: np.array([line[name] for line in lines]) for name in lines[0]}


def _table_is_whole(folder: Path, document: Mapping[str, Any]) -> bool:
    """Whether predictions.csv exists and has the hash that metrics.json states.

    Without a hash in metrics.json it need only exist.
    """
    digest = file_sha256(folder / _TABLE)
    if digest == ABSENT:
        return False
    stated = document.get("files", {_TABLE: digest})[_TABLE]
    return digest == stated


def _unlike(runs: Sequence[Run], dataset: ShardDataset, rows: np.ndarray) -> dict[str, Any]:
    """Return the entry of metrics.json with the share of rows that look unlike the training data.

    `alarm_rate` is the share to expect by chance from one run, if all images are like the training
    data. The result is empty for runs that have no `novelty`.
    """
    novelties = novelties_of(runs)
    if not novelties:
        return {}
    compared = rows[:COMPARED_IMAGES]
    _, alarms = most_unlike(novelties, dataset.images(compared))
    return {
        "unlike_training_data": {
            "share": float(alarms.mean()),
            "alarm_rate": max(novelty.threshold for novelty in novelties),
            "n": len(compared),
        }
    }


def _check(run: Run, dataset: ShardDataset) -> None:
    """Raise `DataError` if the run cannot be judged on a data set."""
    record = run.record
    record.task.check(dataset)
    if record.config.picture != dataset.picture:
        raise DataError(
            f"{run.folder} was trained on the picture {record.config.picture!r}, "
            f"and is shown {dataset.picture!r}",
            code="map-differs",
            folder=run.folder,
            picture=record.config.picture,
        )
    check_bands(dataset.bands, dataset.folder, record.images)
    check_scale(dataset.pixel_scale, dataset.folder, record.images)
    if record.image_shape != dataset.image_shape:
        raise DataError(
            f"{dataset.folder} has images of "
            f"{shape_words(dataset.image_shape, dataset.bands)}; "
            f"the run {run.folder} takes {record.images} (bands x rows x columns)",
            code="image-shape",
            shape=dataset.image_shape,
            folder=dataset.folder,
        )


def _joint_digest(runs: Sequence[Run]) -> str:
    """Return one SHA-256 for the weights of several runs together."""
    return hashlib.sha256("".join(run.digest for run in runs).encode()).hexdigest()


def _csv(table: Mapping[str, np.ndarray]) -> str:
    """Return columns as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow(
            f"{cell:.7g}" if isinstance(cell, np.floating) else cell for cell in row
        )
    return text.getvalue()
