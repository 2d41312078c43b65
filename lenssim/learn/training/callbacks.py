"""Callbacks of a training: state of the sampler, checkpoints, and the table of epochs."""

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

__all__ = [
    "AtomicCheckpoints",
    "Checkpoints",
    "DeviceShares",
    "HistoryWriter",
    "SamplerState",
    "steps_taken",
]


def steps_taken(trainer: Trainer) -> int:
    """Return the number of batches that were learned from.

    Lightning counts the steps of every optimiser.
    """
    turns = getattr(trainer.lightning_module, "turns", ("model",))
    return trainer.global_step // len(turns)


class SamplerState(Callback):
    """Keeps in the checkpoints how many batches of the sampler have been used.

    Lightning restores the state of a loader only within an epoch, but that of a callback
    always.

    Args:
        sampler: Order of the training samples.
    """

    def __init__(self, sampler: BatchSampler) -> None:
        self.sampler = sampler

    @property
    @override
    def state_key(self) -> str:
        """The name of this state in checkpoints, as all versions have written it."""
        return "Place"

    @override
    def on_train_batch_end(self, *_: Any) -> None:
        self.sampler.advance()

    @override
    def state_dict(self) -> dict[str, Any]:
        return self.sampler.state_dict()

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sampler.load_state_dict(state)


class DeviceShares(Callback):
    """Gives each process its share of every training batch and of the validation samples.

    Args:
        samplers: Orders of the training samples.
        validations: Orders of the validation samples.
    """

    def __init__(
        self, samplers: Sequence[BatchSampler], validations: Sequence[BatchSampler]
    ) -> None:
        self.samplers = samplers
        self.validations = validations

    @override
    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        rank = trainer.global_rank
        world = trainer.world_size
        for sampler in self.samplers:
            sampler.share(rank, world)
        for validation in self.validations:
            validation.rows = validation.rows[rank::world]


class HistoryWriter(Callback):
    """Writes one line an epoch into metrics.csv.

    A resumed training drops the lines of epochs that it repeats. An epoch that is resumed
    half-way counts its time from the resume.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows: list[dict[str, float]] = []
        self.epoch_start = time.monotonic()
        self.step_end = self.epoch_start
        self.waiting_seconds = 0.0  # for images

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        history = read_epochs(self.run.metrics)
        self.rows = [row for row in history if row["epoch"] <= trainer.current_epoch]
        self.epoch_start = time.monotonic()

    @override
    def on_train_epoch_start(self, *_: Any) -> None:
        self.waiting_seconds = 0.0
        self.step_end = time.monotonic()

    @override
    def on_train_batch_start(self, *_: Any) -> None:
        self.waiting_seconds += time.monotonic() - self.step_end

    @override
    def on_train_batch_end(self, *_: Any) -> None:
        self.step_end = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        now = time.monotonic()
        metrics = trainer.callback_metrics
        scores = {name: value.item() for name, value in metrics.items()}
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "train_loss": module.train_loss.compute().item(),
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": now - self.epoch_start,
                "waiting": self.waiting_seconds,
                **scores,
            }
        )
        self.epoch_start = now
        if trainer.is_global_zero:
            self.run.hashes.write_file(self.run.metrics, epochs_csv(self.rows))


class Checkpoints(Checkpoint):
    """Writes last.ckpt after every epoch, and best.ckpt if the validation loss fell.

    Lightning's own callback remembers an absolute folder; this one lets a run be moved and
    resumed.

    Args:
        run: The run.
        every_steps: Write last.ckpt also after every this many steps.
        interrupts: SIGINTs that came. After one, the current step is finished and saved,
            then `KeyboardInterrupt` is raised.
        criterion: Score that stands for the validation loss.
    """

    def __init__(
        self,
        run: Run,
        every_steps: int | None,
        interrupts: Sequence[int] = (),
        criterion: str = "val_loss",
    ) -> None:
        self.run = run
        self.criterion = criterion
        self.every_steps = every_steps
        self.interrupts = interrupts
        self.best: dict[str, float] = {"val_loss": math.inf}

    @property
    @override
    def state_key(self) -> str:
        """The name of this state in checkpoints, as all versions have written it."""
        return "Checkpoints"

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
        if scores[self.criterion] < self.best.get(self.criterion, math.inf):
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


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes checkpoints that are whole or absent after any crash.

    Reading one executes nothing.

    The processes of a training hand over their weights at its end in this way, too.

    Args:
        hashes: Record of hashes; those of all files in the folder `checkpoints` go there.
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
