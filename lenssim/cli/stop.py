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

    came: list[int] = []

    def handle(number: int, frame: object) -> None:
        came.append(number)
        if len(came) > 1:
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
        yield lambda: bool(came)
    except IncompleteError as error:
        if not came:
            raise
        print(f"lenssim: {error}", file=sys.stderr)
        raise SystemExit(128 + came[0]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end with 130 and 143, and with the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        code, how = 130, "interrupted"
    except SystemExit as end:
        code, how = int(end.code or 0), "terminated"
    else:
        return
    print(f"lenssim: {how}; go on with: {command}", file=sys.stderr)
    raise typer.Exit(code)
