"""Lightning as this package runs it: quiet, by our settings alone, stopped by signals."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lenssim.data.streaming.dataset import Batch
from lenssim.learn.compute.device import arithmetic
from lenssim.learn.config import TrainConfig
from lenssim.learn.nets.model import read_checkpoint
from lenssim.learn.runs.run import Run
from lenssim.learn.training.callbacks import AtomicCheckpoints
from lenssim.learn.training.loggers import logger_of

__all__ = ["fit", "interruptible", "quiet", "trainer_of"]

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "32": "32-true",
    "bf16": "bf16-mixed",
    "16": "16-mixed",
}


def trainer_of(
    config: TrainConfig, device: torch.device, run: Run, callbacks: list[Callback]
) -> Trainer:
    """Return the trainer of a run."""
    # processes are spawned: a program is not run again from its top
    strategy = "auto" if config.devices == 1 else "ddp_spawn"
    # not every kernel of a GPU can be deterministic
    deterministic: bool | Literal["warn"] = True if device.type == "cpu" else "warn"
    with _own_settings():
        return Trainer(
            accelerator=device.type,
            devices=config.devices,
            strategy=strategy,
            precision=_PRECISIONS[arithmetic(config.precision, device)],
            deterministic=deterministic,
            max_epochs=config.epochs,
            callbacks=callbacks,
            plugins=[AtomicCheckpoints(run.hashes)],
            logger=logger_of(config.logger, run.folder),
            default_root_dir=run.folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )


def fit(
    trainer: Trainer,
    module: LightningModule,
    training: Iterable[Batch],
    validation: Iterable[Batch],
    checkpoint: Path | None,
) -> None:
    """Run a trainer; signals end it as they end every command.

    Raises:
        DataError: The checkpoint is none that a training wrote.
        KeyboardInterrupt: SIGINT stopped the training.
        SystemExit: SIGTERM stopped the training.
    """
    if checkpoint is not None:
        # Lightning takes any file of tensors, and fails on what it lacks
        read_checkpoint(checkpoint)
    try:
        trainer.fit(module, training, validation, ckpt_path=checkpoint, weights_only=True)
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from None


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Yield a list of the SIGINTs that came.

    The first is only noted, because an exception may get lost where it is raised. A second
    one raises `KeyboardInterrupt`.
    """
    interrupts: list[int] = []

    def handle(number: int, frame: object) -> None:
        interrupts.append(number)
        if len(interrupts) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        # Python handles signals in its main thread alone
        yield interrupts
        return
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)  # Lightning leaves it ignored


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's tips, banners and advice about workers, but not its errors."""
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        warnings.filterwarnings(
            "ignore", message=".* does not have a deterministic implementation"
        )
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _own_settings() -> Iterator[None]:
    """Hide the PL_TRAINER_... variables, from which Lightning takes defaults."""
    variables = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("PL_TRAINER_")
    }
    try:
        yield
    finally:
        os.environ.update(variables)
