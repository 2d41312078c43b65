"""The end of a training: its result, cost and calibration."""

import numpy as np
import torch

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.compute.cost import Cost, inference_milliseconds, peak_memory
from lenssim.learn.compute.device import arithmetic
from lenssim.learn.nets.model import Model, outputs, read_checkpoint
from lenssim.learn.runs.overlap import is_at_hand, learned_from, read_seen, write_seen
from lenssim.learn.runs.record import RunResult
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.novelty import NOVELTY, Novelty
from lenssim.learn.training.preparation import PreparedTraining

__all__ = ["complete"]

TIMED_IMAGES = 256  # by which the time of an answer is measured
NOVELTY_IMAGES = 2048  # of each split, that later images are compared with


def complete(run: Run, training: PreparedTraining) -> None:
    """Write the result, the cost, the calibration and the novelty of a trained run."""
    memory = peak_memory(training.device)  # before the calibration
    epochs = run.epochs()
    model = run.model()
    cost = _cost(run, training, model, epochs, memory)
    _write_novelty(run, training)
    dataset = training.dataset
    rows = training.rows
    if isinstance(dataset, ShardDataset) and not is_at_hand(dataset):
        write_seen(run, learned_from(dataset, rows, read_seen(run)))
    target = training.target
    if target is not None and not is_at_hand(target.dataset):
        write_seen(run, learned_from(target.dataset, target.rows, read_seen(run)))
    validation = rows["validation"]
    source, *further = training.learner.method.sources
    if further:
        model = run.model(source)
    answers = outputs(model, dataset, validation, training.device)
    task = run.record.task.calibrated(answers, dataset, validation)
    run.finish(_result(run, epochs, cost), task)


def _cost(
    run: Run,
    training: PreparedTraining,
    model: Model,
    epochs: list[dict[str, float]],
    memory: float,
) -> Cost:
    """Return what the training took; `memory` is its peak in MiB."""
    config = run.record.config
    device = training.device
    seconds = sum(row["seconds"] for row in epochs)
    images = len(training.sampler) * config.batch_size
    timed = training.dataset.images(training.rows["validation"][:TIMED_IMAGES])
    return Cost(
        device=_device_name(device),
        threads=torch.get_num_threads(),
        precision=arithmetic(config.precision, device),
        images_per_second=len(epochs) * images / seconds,
        waiting=sum(row["waiting"] for row in epochs) / seconds,
        peak_mib=memory,
        inference_ms=inference_milliseconds(model, timed, device),
    )


def _device_name(device: torch.device) -> str:
    """Return the name of a GPU, or the kind of another device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type


def _write_novelty(run: Run, training: PreparedTraining) -> None:
    """Write what tells images that are unlike the training data."""
    images: dict[str, np.ndarray] = {
        split: training.dataset.images(numbers[:NOVELTY_IMAGES])
        for split, numbers in training.rows.items()
    }
    normalise = run.record.config.normalise
    novelty = Novelty.fit(normalise, images["train"], images["validation"])
    run.hashes.write_file(run.folder / NOVELTY, novelty.to_json())


def _result(run: Run, epochs: list[dict[str, float]], cost: Cost) -> RunResult:
    """Return how the training ended, with the scores of its best epoch."""
    best = read_checkpoint(run.last)["callbacks"]["Checkpoints"]["best"]
    progress = run.record.task.presentation.progress
    stopped = "end" if len(epochs) >= run.record.config.epochs else "early"
    return RunResult(
        epochs=len(epochs),
        best_epoch=int(best["epoch"]),
        val_loss=best["val_loss"],
        scores={name: best[f"val_{name}"] for name in progress},
        seconds=sum(row["seconds"] for row in epochs),
        stopped=stopped,
        cost=cost,
    )
