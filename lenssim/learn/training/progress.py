"""How a training tells its progress, on stderr: a bar with rate and time left on a terminal, else a line an epoch."""

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
    """The one that suits stderr."""
    return Bar() if sys.stderr.isatty() else Lines()


def _scores(trainer: Trainer, module: Any) -> str:
    names = {
        "val_loss": "loss",
        **{f"val_{key}": name for key, name in module.task.presentation.progress.items()},
    }
    known = trainer.callback_metrics
    return ", ".join(
        f"{names[name]} {known[name].item():.4f}" for name in names if name in known
    )


class _Told(Callback):
    """Says first where the arithmetic is not what was asked for, begun by the name of what trains where several do."""

    name = ""

    @override
    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if (
            module.config.precision == "bf16"
            and trainer.precision == "32-true"
            and trainer.is_global_zero
        ):
            kind = trainer.strategy.root_device.type
            print(
                f"{self.name}no bf16 on this {kind}: computing in single precision, which is faster here",
                file=sys.stderr,
            )


class Lines(_Told):
    """A line after each epoch, begun by the name too."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    @override
    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.start = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        start = getattr(self, "start", None)  # an epoch resumed half-way had no start here
        loss = module.train_loss.compute().item()  # of all processes: each has to take part
        if not trainer.is_global_zero:
            return
        took = f", {time.monotonic() - start:.0f} s" if start is not None else ""
        print(
            f"{self.name}epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
            f"training loss {loss:.4f}; validation {_scores(trainer, module)}{took}",
            file=sys.stderr,
            flush=True,
        )


class Bar(_Told):
    """One bar over all batches of all epochs."""

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
        self.bar.update(self.task, scores=f"validation {_scores(trainer, module)}")

    @override
    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.bar.stop()

    @override
    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self.bar.stop()
