"""Progress on stderr: a bar with rate, time left, failures and workers on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenssim.data.generation.progress import Progress
    from lenssim.simulate.spec import SimulationSpec

__all__ = ["samples_bar", "show_first_compilation"]

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


def show_first_compilation(
    spec: "SimulationSpec", images: int, numbers: "Sequence[int] | None" = None
) -> None:
    """Compile the kernels that images need, with a bar if any is missing.

    Args:
        spec: What is simulated.
        images: How many images there will be.
        numbers: Sample numbers that tell which kernels are needed. None: those of a whole
            data set are.
    """
    from lenssim.data.generation.first_kernels import compile_kernels

    with ExitStack() as stack:
        bars: list[Callable[[Progress], None]] = []

        def report(progress: "Progress") -> None:
            if not bars:
                bars.append(stack.enter_context(samples_bar("preparing")))
            bars[0](progress)

        compile_kernels(spec, report, images, numbers)


@contextmanager
def _terminal_bar(verb: str) -> "Iterator[Callable[[Progress], None]]":
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    bar = _bar(verb)
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


def _bar(verb: str) -> Any:
    """Return a bar with the columns that it shows."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )


def _lines(verb: str) -> "Callable[[Progress], None]":
    rate = _rate()
    printed_at = time.monotonic()
    phases: set[str] = set()

    def report(progress: "Progress") -> None:
        nonlocal printed_at
        text = rate(progress) + _trouble(progress)
        is_new = bool(progress.phase) and not phases
        if is_new:
            phases.add(progress.phase)
        is_time = time.monotonic() - printed_at >= _SECONDS_BETWEEN_LINES
        if is_new or (is_time and progress.done < progress.total):
            printed_at = time.monotonic()
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
    hidden_count = len(lines) - _MOST_WORKERS
    if hidden_count <= 0:
        return lines
    return [*lines[:_MOST_WORKERS], f"  and {hidden_count} more workers"]


def _rate() -> "Callable[[Progress], str]":
    """Text of rate and time left, measured from the first result on: what starting took is not a rate."""
    start: tuple[int, float] | None = None

    def text(progress: "Progress") -> str:
        nonlocal start
        if progress.phase:
            return progress.phase
        if start is None and progress.done > progress.resumed:
            start = progress.done, time.monotonic()
        if start is None or progress.done == start[0]:
            return "starting"
        rate = (progress.done - start[0]) / max(time.monotonic() - start[1], 1e-9)
        seconds_left = (progress.total - progress.done - progress.failed) / rate
        return f"{rate:,.0f} img/s, {int(seconds_left // 60)}:{int(seconds_left % 60):02d} left"

    return text
