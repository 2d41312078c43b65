"""Evaluation: a run on samples it has not seen; numbers with intervals, a table of predictions, figures."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.dataset import ShardDataset
from lenssim.data.files import read_json, write, write_json
from lenssim.errors import ConfigError, DataError
from lenssim.learn.device import pick_device
from lenssim.learn.ensemble import Ensemble
from lenssim.learn.epochs import read_epochs
from lenssim.learn.figures import curves_figure, save
from lenssim.learn.novelty import read_novelty
from lenssim.learn.run import Run, identify, versions

__all__ = ["evaluate", "evaluation_folder", "finished_evaluation", "held_out"]

_METRICS = "metrics.json"
_JUDGED = 4096  # images that are compared with the training data


def evaluation_folder(run: Run, dataset: ShardDataset, others: Sequence[Run] = (), tta: bool = False) -> Path:
    """Where the evaluation of a run, with others and in all symmetries, on a data set is kept."""
    members = f"-with-{_together(others)[:8]}" if others else ""
    return run.folder / f"evaluation-{dataset.fingerprint[:8]}{members}{'-tta' if tta else ''}"


def held_out(run: Run, dataset: ShardDataset, others: Sequence[Run] = ()) -> tuple[np.ndarray, str]:
    """Rows of a data set that the runs can be judged by, and which they are in words.

    The test blocks where the data set may share scenes with those the runs were trained on, all rows elsewhere.
    """
    asked = identify(dataset)
    if any(asked.shares_samples(seen) for each in (run, *others) for seen in each.record.seen):
        return dataset.rows("test"), "test blocks (the training data have the same seed or contents)"
    return dataset.rows(), "all samples (none can be in the training data)"


def finished_evaluation(
    run: Run, dataset: ShardDataset, others: Sequence[Run] = (), tta: bool = False
) -> dict[str, Any] | None:
    """The metrics of an earlier evaluation with the same weights on the same data, if there is one."""
    try:
        document = read_json(evaluation_folder(run, dataset, others, tta) / _METRICS)
    except DataError:
        return None
    judged = document["run"]["checkpoint_sha256"], document["data"]["fingerprint"]
    return document if judged == (run.digest, dataset.fingerprint) else None


def evaluate(
    run: Run,
    dataset: ShardDataset,
    *,
    others: Sequence[Run] = (),
    tta: bool = False,
    device: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge a run's best weights on the held-out samples of a data set; returns what metrics.json holds.

    `others`: judge the mean of their answers and the run's; `tta`: in all symmetries of the training. Writes
    metrics.json, predictions.csv and the figures into `evaluation_folder`. `DataError` if classes or image shape are
    not the run's, or nothing is held out.
    """
    _check(run, dataset)
    rows, which = held_out(run, dataset, others)
    rows = run.record.task.usable(dataset, rows)
    if not len(rows):
        raise DataError(
            f"{dataset.folder}: no samples are held out (the test blocks begin at sample 192); "
            "generate a larger data set, or one with another --seed"
        )
    record = run.record
    ensemble = Ensemble([run, *others], pick_device(device), tta=tta)
    name = record.config.net + (f", {ensemble.passes} answers averaged" if ensemble.passes > 1 else "")
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
        "intervals": {"kind": "bootstrap percentile", "level": 0.95, "resamples": resamples, "seed": seed},
        "versions": versions(),
    }
    folder = evaluation_folder(run, dataset, others, tta)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write into the run's folder {run.folder}: {error.strerror}") from None
    table = {"index": dataset.index[rows], **found.table}
    write(folder / "predictions.csv", _csv(table).encode())
    for name, figure in found.figures.items():
        save(figure, folder / f"{name}.png")
    if (epochs := read_epochs(run.metrics)) and record.result is not None:
        training = f"{record.config.net} trained on {record.data.title}"
        save(curves_figure(epochs, record.task.progress, record.result.best_epoch, training), folder / "curves.png")
    write_json(folder / _METRICS, document)  # last: its presence means complete
    return document


def _unlike(run: Run, dataset: ShardDataset, rows: np.ndarray) -> dict[str, Any]:
    """Share of the rows called unlike the training data, where it can be told; alike data have up to `alarm_rate`."""
    if (novelty := read_novelty(run.folder)) is None:
        return {}
    some = rows[:_JUDGED]
    share = float((novelty.p_values(dataset.images(some)) <= novelty.threshold).mean())
    return {"unlike_training_data": {"share": share, "alarm_rate": novelty.threshold, "n": len(some)}}


def _check(run: Run, dataset: ShardDataset) -> None:
    run.record.task.check(dataset)
    if (shown := run.record.config.picture) != dataset.picture:
        raise DataError(f"{run.folder} was trained on the picture {shown!r}, and is shown {dataset.picture!r}")
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
        writer.writerow(f"{cell:.7g}" if isinstance(cell, np.floating) else cell for cell in row)
    return text.getvalue()
