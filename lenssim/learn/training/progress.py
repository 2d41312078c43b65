"""Progress of a training on stderr: a bar on a terminal, else a line an epoch."""

import sys
import time
from typing import Any, override

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lenssim.learn.training.callbacks import steps_taken

__all__ = ["Bar", "Lines", "progress"]


def progress() -> Callback:
    """Return a bar if stderr is a terminal, else lines."""
    if sys.stderr.isatty():
        return Bar()
    return Lines()


def _scores_text(trainer: Trainer, module: Any) -> str:
    """Return the scores of the last validation in words."""
    metrics = trainer.callback_metrics
    names = {"val_loss": "loss"}
    for key, name in module.task.presentation.progress.items():
        names[f"val_{key}"] = name
    return ", ".join(
        f"{name} {metrics[key].item():.4f}" for key, name in names.items() if key in metrics
    )


class _PrecisionNote(Callback):
    """Says at the start if the arithmetic is not what was asked for.

    Its `prefix` begins all lines, where several trainings print.
    """

    prefix = ""

    @override
    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if not trainer.is_global_zero or module.config.precision != "bf16":
            return
        if trainer.precision == "32-true":
            kind = trainer.strategy.root_device.type
            print(
                f"{self.prefix}no bf16 on this {kind}: computing in single precision, "
                "which is faster here",
                file=sys.stderr,
            )


class Lines(_PrecisionNote):
    """Prints a line after each epoch.

    Args:
        prefix: Begins each line.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.epoch_start: float | None = None  # none in an epoch that is resumed half-way

    @override
    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.epoch_start = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        # the mean over all processes: each of them has to take part
        loss = module.train_loss.compute().item()
        if not trainer.is_global_zero:
            return
        duration = ""
        if self.epoch_start is not None:
            duration = f", {time.monotonic() - self.epoch_start:.0f} s"
        print(
            f"{self.prefix}epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
            f"training loss {loss:.4f}; "
            f"validation {_scores_text(trainer, module)}{duration}",
            file=sys.stderr,
            flush=True,
        )


class Bar(_PrecisionNote):
    """Shows one bar over all batches of all epochs."""

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scores]}"),
        )
        self.bar = Progress(
            *columns, console=Console(stderr=True), disable=not trainer.is_global_zero
        )
        self.total = trainer.num_training_batches * (trainer.max_epochs or 1)
        self.first = steps_taken(trainer)
        self.images = 0
        self.start = time.monotonic()
        self.task = self.bar.add_task(
            "", total=self.total, completed=self.first, rate="", scores=""
        )
        self.bar.start()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.images += len(batch["index"]) * trainer.world_size
        self.bar.update(
            self.task,
            completed=steps_taken(trainer),
            description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            rate=f"{self.images / (time.monotonic() - self.start):,.0f} img/s,",
        )

    @override
    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.bar.update(self.task, scores=f"validation {_scores_text(trainer, module)}")

    @override
    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.bar.stop()

    @override
    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self.bar.stop()
