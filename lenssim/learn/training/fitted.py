"""Weights that are found at once: their checkpoint, as if one epoch had found them."""

import io
import time
from typing import Any

import torch
from torchmetrics import MeanMetric

from lenssim.data.streaming.dataset import Batch
from lenssim.learn.runs.history import epochs_csv
from lenssim.learn.runs.run import Run
from lenssim.learn.training.preparation import PreparedTraining

__all__ = ["write_fitted"]

_IMAGES_PER_BATCH = 256


def write_fitted(run: Run, training: PreparedTraining) -> None:
    """Write checkpoints and metrics.csv of networks that `Method.begin` has fitted."""
    start_time = time.monotonic()
    scores = _validated(training)
    state = {
        f"{name}.{key}": value
        for name, network in training.learner.networks.items()
        for key, value in network.state_dict().items()
    }
    best = {"epoch": 1, **scores}
    checkpoint = {"state_dict": state, "callbacks": {"Checkpoints": {"best": best}}}
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    for path in (run.best, run.last):
        run.hashes.write_file(path, buffer.getvalue())
    row: dict[str, float] = {
        "epoch": 1,
        "train_loss": scores["val_loss"],
        "learning_rate": 0.0,
        "seconds": time.monotonic() - start_time + 1e-3,
        "waiting": 0.0,
        **scores,
    }
    run.hashes.write_file(run.metrics, epochs_csv([row]))


@torch.inference_mode()
def _validated(training: PreparedTraining) -> dict[str, Any]:
    """Return the loss and the scores of the validation images."""
    learner = training.learner.to(training.device).eval()
    loss = MeanMetric()
    rows = training.rows["validation"]
    for start in range(0, len(rows), _IMAGES_PER_BATCH):
        batch = _on_device(training, start)
        outputs, value = learner.method.validation_step(
            learner.networks, batch, training.setup
        )
        loss.update(value.cpu(), len(outputs))
        learner.task.update(learner.scores, outputs, batch)
    scores = {f"val_{name}": float(v) for name, v in learner.scores.compute().items()}
    learner.scores.reset()
    return {"val_loss": float(loss.compute()), **scores}


def _on_device(training: PreparedTraining, start: int) -> Batch:
    """Return a batch of validation images where networks are computed."""
    rows = training.rows["validation"][start : start + _IMAGES_PER_BATCH]
    batch: Any = training.dataset.batch(rows)
    for name, column in batch.items():
        batch[name] = column.to(training.device)
    return batch
