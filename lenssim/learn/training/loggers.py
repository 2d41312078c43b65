"""Where losses and scores go beside metrics.csv: TensorBoard or Weights & Biases, through Lightning."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

__all__ = ["LOGGERS", "check_logger", "logger_of"]


def _tensorboard(folder: Path) -> Logger:
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="tensorboard", version="")


def _wandb(folder: Path) -> Logger:
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(name=folder.name, save_dir=folder, project="lenssim")


LOGGERS: dict[str, Callable[[Path], Logger]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
"""Loggers by the name of the package they need. `csv` needs none: metrics.csv is always written."""


def check_logger(name: str) -> None:
    """Raise `ConfigError` if the package that a logger needs is not installed."""
    if name in LOGGERS and find_spec(name) is None:
        raise ConfigError(
            f"--logger {name} needs the package {name}: pip install {name}",
            code="package-missing",
            package=name,
        )


def logger_of(name: str, folder: Path) -> Logger | Literal[False]:
    """Return the logger of a training, whose files lie in the run's folder; False for `csv`."""
    if name == "csv":
        return False
    return LOGGERS[name](folder)
