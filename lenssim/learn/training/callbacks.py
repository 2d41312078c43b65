"""What happens around the steps of a training: places kept, checkpoints written, epochs tabled."""

import io
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, override

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lenssim.data.format.files import write
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.learn.nets.model import read_tensors
from lenssim.learn.runs.hashes import FileHashes
from lenssim.learn.runs.history import epochs_csv, read_epochs
from lenssim.learn.runs.run import CHECKPOINTS, Run

__all__ = ["Checkpoints", "EpochTable", "Place", "Shares", "WholeFiles", "steps_taken"]


def steps_taken(trainer: Trainer) -> int:
    """Return the number of batches that were learned from.

    Lightning counts the steps of every optimiser.
    """
    return trainer.global_step // max(1, len(trainer.optimizers))


class Place(Callback):
    """Tells the sampler which batches have been used, and keeps its place in the checkpoints.

    Lightning restores the state of a loader only within an epoch, that of a callback always.
    """

    def __init__(self, sampler: BatchSampler) -> None:
        self.sampler = sampler

    @override
    def on_train_batch_end(self, *_: Any) -> None:
        self.sampler.advance()

    @override
    def state_dict(self) -> dict[str, Any]:
        return self.sampler.state_dict()

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sampler.load_state_dict(state)


class Shares(Callback):
    """Gives each process its share of every training batch, and of the validation samples."""

    def __init__(self, sampler: BatchSampler, validation: BatchSampler) -> None:
        self.sampler, self.validation = sampler, validation

    @override
    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        rank, world = trainer.global_rank, trainer.world_size
        self.sampler.share(rank, world)
        self.validation.rows = self.validation.rows[rank::world]


class EpochTable(Callback):
    """One line an epoch in metrics.csv; a resumed training drops the lines of epochs that it does again."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows: list[dict[str, float]] = []
        self.start = self.ready = time.monotonic()
        self.waited = 0.0  # seconds, for images; an epoch resumed half-way has no start

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.rows = [
            row
            for row in read_epochs(self.run.metrics)
            if row["epoch"] <= trainer.current_epoch
        ]
        self.start = time.monotonic()

    @override
    def on_train_epoch_start(self, *_: Any) -> None:
        self.waited, self.ready = 0.0, time.monotonic()

    @override
    def on_train_batch_start(self, *_: Any) -> None:
        self.waited += time.monotonic() - self.ready

    @override
    def on_train_batch_end(self, *_: Any) -> None:
        self.ready = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        now = time.monotonic()
        scores = {name: value.item() for name, value in trainer.callback_metrics.items()}
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "train_loss": module.train_loss.compute().item(),
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": now - self.start,
                "waiting": self.waited,
                **scores,
            }
        )
        self.start = now
        if trainer.is_global_zero:
            self.run.hashes.write_file(self.run.metrics, epochs_csv(self.rows))


class Checkpoints(Checkpoint):
    """After every epoch last.ckpt, and best.ckpt if the validation loss fell; last.ckpt also every so many steps.

    Lightning's own callback remembers an absolute folder; this one lets a run be moved and resumed. Once there is
    something in `interrupts`, the step in hand is finished and kept, then `KeyboardInterrupt` raised.
    """

    def __init__(
        self, run: Run, every_steps: int | None, interrupts: Sequence[int] = ()
    ) -> None:
        self.run, self.every_steps, self.interrupts = run, every_steps, interrupts
        self.best: dict[str, float] = {"val_loss": math.inf}

    @override
    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        steps = steps_taken(trainer)
        due = self.every_steps is not None and steps % self.every_steps == 0
        stop = trainer.received_sigterm or self.interrupts
        if (due or stop) and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            trainer.save_checkpoint(self.run.last)
            if stop:
                raise SIGTERMException if trainer.received_sigterm else KeyboardInterrupt

    @override
    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if scores["val_loss"] < self.best["val_loss"]:
            self.best = {"epoch": trainer.current_epoch + 1, **scores}
            trainer.save_checkpoint(self.run.best)
        trainer.save_checkpoint(self.run.last)
        if self.interrupts:
            raise KeyboardInterrupt

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that after any crash are whole or absent, and that are read without executing anything.

    By this way too the processes of a training hand over their weights at its end, alone in a file. With `hashes` the
    hashes of all that lies in the folder `checkpoints` are recorded.
    """

    def __init__(self, hashes: FileHashes | None = None) -> None:
        super().__init__()
        self.hashes = hashes

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        target = Path(path)
        if self.hashes is not None and target.parent == self.hashes.folder / CHECKPOINTS:
            self.hashes.write_file(target, buffer.getvalue())
        else:
            write(target, buffer.getvalue())

    @override
    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return read_tensors(Path(path))
