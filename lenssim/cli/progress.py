"""Progress on stderr: a bar with rate and time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenssim.data.build import Progress

__all__ = ["samples_bar"]

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def samples_bar(verb: str) -> "Iterator[Callable[[Progress], None]]":
    """A reporter of `Progress` for as long as the context lasts."""
    if sys.stderr.isatty():
        with _terminal_bar(verb) as report:
            yield report
    else:
        yield _lines(verb)


@contextmanager
def _terminal_bar(verb: str) -> "Iterator[Callable[[Progress], None]]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(verb, total=None, rate="starting")
        rate = _rate()
        yield lambda progress: bar.update(task, completed=progress.done, total=progress.total, rate=rate(progress))


def _lines(verb: str) -> "Callable[[Progress], None]":
    rate, last = _rate(), time.monotonic()

    def report(progress: "Progress") -> None:
        nonlocal last
        text = rate(progress)
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES and progress.done < progress.total:
            last = time.monotonic()
            print(f"{verb} {progress.done} of {progress.total} {text}", file=sys.stderr, flush=True)

    return report


def _rate() -> "Callable[[Progress], str]":
    """Text of rate and time left, measured from the first result on: what starting took is not a rate."""
    first: tuple[int, float] | None = None

    def text(progress: "Progress") -> str:
        nonlocal first
        if first is None and progress.done > progress.resumed:
            first = progress.done, time.monotonic()
        if first is None or progress.done == first[0]:
            return "starting"
        rate = (progress.done - first[0]) / max(time.monotonic() - first[1], 1e-9)
        left = (progress.total - progress.done) / rate
        return f"{rate:,.0f} img/s, {int(left // 60)}:{int(left % 60):02d} left"

    return text
