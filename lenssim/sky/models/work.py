"""Work: how a fit is carried out, which changes none of its bits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lenssim.data.generation.building import Stop
from lenssim.data.generation.progress import Progress

__all__ = ["SILENT_WORK", "Work"]


def _nothing(*words: Any) -> None:
    """Tell nobody."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Work:
    """Who works, who is told, and who may stop it.

    Attributes:
        workers: Processes of dask; 0: this one.
        report: Is told of the progress.
        note: Hears of workers that do not fit into memory.
        stop: Whether to begin no further shard.
    """

    workers: int = 0
    report: Callable[[Progress], None] = _nothing
    note: Callable[[str], None] = _nothing
    stop: Stop = _never


SILENT_WORK = Work()
