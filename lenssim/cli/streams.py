"""The streams of the command line: any of them may be closed, full, gone, or know few characters."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from lenssim.folders import reason

__all__ = ["stdout_fault", "whole_streams"]


class _Forgiving:
    """A stream whose failures stop nobody: what cannot be written is dropped, and the first reason remembered."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.fault: Exception | None = None

    def write(self, text: str) -> int:
        self._tried(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._tried(self.stream.flush)

    def _tried(self, action: Callable[..., object], *arguments: str) -> None:
        if self.fault is not None:
            return
        try:
            action(*arguments)
        except (OSError, ValueError) as error:  # ValueError: it was closed in this process
            self.fault = error
            _lead_nowhere(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def whole_streams() -> Iterator[None]:
    """Give the program its three streams for as long as the context lasts.

    A closed one leads nowhere, so that no file of ours gets its number. stdout escapes characters that its
    encoding lacks. What stdout and stderr cannot take is dropped: the work goes on, see `stdout_fault`.
    """
    for number in range(3):
        _open_if_closed(number)
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or _nowhere("r")
    stdout = sys.stdout or _nowhere("w")
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(errors="backslashreplace")
    sys.stdout = _Forgiving(stdout)
    sys.stderr = _Forgiving(sys.stderr or _nowhere("w"))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        ours = sys.stdin, sys.stdout.stream, sys.stderr.stream
        sys.stdin, sys.stdout, sys.stderr = before
        for stream, earlier in zip(ours, before, strict=True):
            if earlier is None:
                stream.close()


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _nowhere(mode: str) -> Any:
    return Path(os.devnull).open(mode, encoding="utf-8")


def stdout_fault() -> str | None:
    """Return why stdout did not take all that was printed, "" if only its reader left, None if all is well."""
    sys.stdout.flush()
    fault = getattr(sys.stdout, "fault", None)
    if fault is None:
        return None
    if isinstance(fault, BrokenPipeError):  # lenssim ... | head
        return ""
    return reason(fault) if isinstance(fault, OSError) else str(fault)


def _lead_nowhere(stream: TextIO) -> None:
    """Let a stream that fails write into /dev/null, so that Python's end can flush it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
