"""Evaluation: a run on samples it has not seen; numbers with intervals, a table of predictions, figures."""

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import read_json, write, write_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.figures.classification import curves_figure
from lenssim.learn.figures.style import save_if_possible
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.hashes import ABSENT, file_sha256
from lenssim.learn.runs.overlap import held_out
from lenssim.learn.runs.run import Run, identify, versions

__all__ = ["evaluate", "evaluation_folder", "finished_evaluation", "read_table"]

_METRICS = "metrics.json"
_TABLE = "predictions.csv"
_JUDGED = 4096  # images that are compared with the training data


def evaluation_folder(
    run: Run, dataset: ShardDataset, others: Sequence[Run] = (), tta: bool = False
) -> Path:
    """Where the evaluation of a run, with others and in all symmetries, on a data set is kept."""
    members = f"-with-{_together(others)[:8]}" if others else ""
    return (
        run.folder / f"evaluation-{dataset.fingerprint[:8]}{members}{'-tta' if tta else ''}"
    )


def finished_evaluation(
    run: Run, dataset: ShardDataset, others: Sequence[Run] = (), tta: bool = False
) -> dict[str, Any] | None:
    """The metrics of an earlier evaluation with the same weights on the same data, if there is one with all its files.

    `DataError` if the weights are damaged or of another run.
    """
    folder = evaluation_folder(run, dataset, others, tta)
    digest = run.digest
    try:
        document = read_json(folder / _METRICS)
    except DataError:
        return None
    if (document["run"]["checkpoint_sha256"], document["data"]["fingerprint"]) != (
        digest,
        dataset.fingerprint,
    ):
        return None
    whole = all((folder / name).is_file() for name in document.get("figures", ()))
    return document if whole and _table_is_whole(folder, document) else None


def evaluate(
    run: Run,
    dataset: ShardDataset,
    *,
    others: Sequence[Run] = (),
    tta: bool = False,
    device: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Judge a run's best weights on the held-out samples of a data set.

    The numbers are written before the figures are drawn, and a figure that fails is a warning: it costs no number.

    Args:
        run: The run.
        dataset: The data set. The shards that are used are checked byte for byte.
        others: Judge the mean of their answers and the run's.
        tta: Judge the mean of the answers in all symmetries of the training.
        device: Where the networks are computed.
        resamples: Bootstrap resamples of the intervals.
        seed: Seed of the resamples.
        say: Called with a line on how many images the run is judged.

    Returns:
        What metrics.json in `evaluation_folder` holds. predictions.csv and the figures lie beside it.

    Raises:
        DataError: Classes or image shape are not the run's, nothing is held out, or a file is damaged.
        VerificationError: A shard does not hold what was written.
        StorageError: The run's folder cannot be written into.
    """
    _check(run, dataset)
    rows, which = held_out(run, dataset, others)
    say(f"judging {run.folder} on {len(rows)} of {len(dataset)} images: {which}")
    if not len(rows) and which.startswith("all of them"):
        raise DataError(
            f"{dataset.folder} holds no image to judge by: {which}; take other images"
        )
    if not len(rows):
        raise DataError(
            f"{dataset.folder}: no samples are held out (the test blocks begin at sample 192); "
            "generate a larger data set, or one with another --seed"
        )
    record = run.record
    ensemble = Ensemble([run, *others], pick_device(device), tta=tta)
    name = record.config.net + (
        f", {ensemble.passes} answers averaged" if ensemble.passes > 1 else ""
    )
    title = f"{name} on {identify(dataset).title}, {len(rows)} held-out images"
    task, outputs = ensemble.of(dataset, rows)
    found = task.judge(outputs, dataset, rows, title, resamples, seed)
    document = {
        "format": "lenssim-evaluation/1",
        "run": {
            "net": record.config.net,
            "parameters": record.parameters,
            "checkpoint_sha256": run.digest,
            "trained_on": record.data.model_dump(mode="json"),
        },
        "passes": {"runs": 1 + len(others), "answers": ensemble.passes},
        "data": identify(dataset).model_dump(mode="json"),
        "samples": which,
        "n": len(rows),
        **_unlike(run, dataset, rows),
        **found.facts,
        "tables": dict(found.tables),
        "metrics": found.metrics,
        "intervals": {
            "kind": "bootstrap percentile",
            "level": 0.95,
            "resamples": resamples,
            "seed": seed,
        },
        "versions": versions(),
    }
    folder = evaluation_folder(run, dataset, others, tta)
    make_folder(folder)
    draws = {f"{name}.png": draw for name, draw in found.figures.items()}
    if (epochs := run.epochs()) and record.result is not None:
        title = f"{record.config.net} trained on {record.data.title}"
        draws["curves.png"] = partial(
            curves_figure, epochs, record.task.progress, record.result.best_epoch, title
        )
    table = _csv({"index": dataset.index[rows], **found.table}).encode()
    document["files"] = {_TABLE: hashlib.sha256(table).hexdigest()}
    document["figures"] = sorted(draws)
    write(folder / _TABLE, table)
    write_json(folder / _METRICS, document)
    for name, draw in draws.items():
        save_if_possible(draw, folder / name)
    return document


def read_table(folder: Path) -> dict[str, np.ndarray]:
    """Return the columns of predictions.csv in the folder of an evaluation, as text, by name.

    Raises:
        DataError: The table is missing or damaged.
    """
    path = folder / _TABLE
    if not _table_is_whole(folder, read_json(folder / _METRICS)):
        raise DataError(
            f"{path} is missing or not the table that lenssim evaluate wrote; repeat lenssim evaluate"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _table_is_whole(folder: Path, document: Mapping[str, Any]) -> bool:
    """Whether predictions.csv is what metrics.json names; of an evaluation that names no hash, whether it is there."""
    digest = file_sha256(folder / _TABLE)
    return digest == document.get("files", {_TABLE: digest})[_TABLE] != ABSENT


def _unlike(run: Run, dataset: ShardDataset, rows: np.ndarray) -> dict[str, Any]:
    """Share of the rows called unlike the training data, where it can be told; alike data have up to `alarm_rate`."""
    if (novelty := run.novelty()) is None:
        return {}
    some = rows[:_JUDGED]
    share = float((novelty.p_values(dataset.images(some)) <= novelty.threshold).mean())
    return {
        "unlike_training_data": {
            "share": share,
            "alarm_rate": novelty.threshold,
            "n": len(some),
        }
    }


def _check(run: Run, dataset: ShardDataset) -> None:
    run.record.task.check(dataset)
    if (shown := run.record.config.picture) != dataset.picture:
        raise DataError(
            f"{run.folder} was trained on the picture {shown!r}, and is shown {dataset.picture!r}"
        )
    if run.record.image_shape != dataset.image_shape:
        raise DataError(
            f"{dataset.folder} has images of {' x '.join(map(str, dataset.image_shape))}; the run {run.folder} takes "
            f"{' x '.join(map(str, run.record.image_shape))} (bands x rows x columns)"
        )


def _together(runs: Sequence[Run]) -> str:
    return hashlib.sha256("".join(run.digest for run in runs).encode()).hexdigest()


def _csv(table: Mapping[str, np.ndarray]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow(
            f"{cell:.7g}" if isinstance(cell, np.floating) else cell for cell in row
        )
    return text.getvalue()
