"""Progress on stderr: a bar with rate, time left, failures and workers on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenssim.data.generation.building import Progress

__all__ = ["samples_bar"]

_SECONDS_BETWEEN_LINES = 10.0
_MOST_WORKERS = 16  # lines


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
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text

    bar = Progress(
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    task = bar.add_task(verb, total=None, rate="starting")
    rate = _rate()
    with Live(bar, console=Console(stderr=True), refresh_per_second=4) as live:

        def report(progress: Any) -> None:
            text = rate(progress) + _trouble(progress)
            bar.update(task, completed=progress.done, total=progress.total, rate=text)
            live.update(
                Group(
                    bar, *(Text(line, style="dim") for line in _workers(progress.workers))
                )
            )

        yield report


def _lines(verb: str) -> "Callable[[Progress], None]":
    rate = _rate()
    last_time = time.monotonic()

    def report(progress: "Progress") -> None:
        nonlocal last_time
        text = rate(progress) + _trouble(progress)
        if (
            time.monotonic() - last_time >= _SECONDS_BETWEEN_LINES
            and progress.done < progress.total
        ):
            last_time = time.monotonic()
            workers = f", {len(progress.workers)} workers" if progress.workers else ""
            print(
                f"{verb} {progress.done} of {progress.total} {text}{workers}",
                file=sys.stderr,
                flush=True,
            )

    return report


def _trouble(progress: "Progress") -> str:
    """Failed samples and shards tried again, if there are any."""
    counts = {"failed": progress.failed, "tried again": progress.retried}
    return "".join(f", {count} {what}" for what, count in counts.items() if count)


def _workers(workers: dict[str, str]) -> list[str]:
    """A line for each worker, the last for those there is no room for."""
    lines = [f"  {address}: {state}" for address, state in workers.items()]
    unnamed = len(lines) - _MOST_WORKERS
    return (
        lines if unnamed <= 0 else [*lines[:_MOST_WORKERS], f"  and {unnamed} more workers"]
    )


def _rate() -> "Callable[[Progress], str]":
    """Text of rate and time left, measured from the first result on: what starting took is not a rate."""
    first_result: tuple[int, float] | None = None

    def text(progress: "Progress") -> str:
        nonlocal first_result
        if first_result is None and progress.done > progress.resumed:
            first_result = progress.done, time.monotonic()
        if first_result is None or progress.done == first_result[0]:
            return "starting"
        rate = (progress.done - first_result[0]) / max(
            time.monotonic() - first_result[1], 1e-9
        )
        seconds_left = (progress.total - progress.done - progress.failed) / rate
        return f"{rate:,.0f} img/s, {int(seconds_left // 60)}:{int(seconds_left % 60):02d} left"

    return text
