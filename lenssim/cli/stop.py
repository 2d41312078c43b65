"""Signals: the first lets work in hand be finished, the second ends the program at once."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

__all__ = ["resumable", "stoppable"]


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM has come, for as long as the context lasts.

    Work that stops short because of it raises `IncompleteError`; the exit code is then 128 + signal. A second signal
    raises `SystemExit` wherever the program is.
    """
    from lenssim.errors import IncompleteError

    signals: list[int] = []

    def handle(number: int, frame: object) -> None:
        signals.append(number)
        if len(signals) > 1:
            print(
                "lenssim: stopped at once; repeat the command to continue", file=sys.stderr
            )
            raise SystemExit(128 + number)
        print(
            "lenssim: stopping when the shards in hand are finished; once more stops at once",
            file=sys.stderr,
        )

    before = {
        number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(signals)
    except IncompleteError as error:
        if not signals:
            raise
        print(f"lenssim: {error}", file=sys.stderr)
        raise SystemExit(128 + signals[0]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end with 130 and 143, and with the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        code = 130
        how = "interrupted"
    except SystemExit as end:
        code = int(end.code or 0)
        how = "terminated"
    else:
        return
    print(f"lenssim: {how}; go on with: {command}", file=sys.stderr)
    raise typer.Exit(code)
