"""The streams of the command line: any of them may be closed, full, gone, or know few characters."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from lenssim.folders import reason

__all__ = ["stdout_fault", "whole_streams"]


class _Forgiving:
    """A stream whose failures stop nobody: what cannot be written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def whole_streams() -> Iterator[None]:
    """Give the program its three streams for as long as the context lasts.

    A closed one leads nowhere, so that no file of ours gets its number. stdout escapes characters
    that its encoding lacks. stderr, which carries notes and progress, never raises.
    """
    for number in range(3):
        _open_if_closed(number)
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = sys.stdout or _nowhere("w")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr = _Forgiving(sys.stderr or _nowhere("w"))
    try:
        yield
    finally:
        _let_go(sys.stderr.stream)
        sys.stdin, sys.stdout, sys.stderr = before


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _nowhere(mode: str) -> Any:
    return open(os.devnull, mode, encoding="utf-8")


def stdout_fault() -> str | None:
    """Write out what stdout still holds; return why that failed, "" if only its reader left, None if all is well."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _lead_nowhere(sys.stdout)
        return ""
    except (OSError, ValueError) as error:
        _lead_nowhere(sys.stdout)
        return reason(error) if isinstance(error, OSError) else str(error)
    return None


def _let_go(stream: TextIO) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):
        _lead_nowhere(stream)


def _lead_nowhere(stream: TextIO) -> None:
    """Let a stream that fails write into /dev/null, so that Python's end can flush it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
