"""Work side by side: pieces in processes of their own, some at a time."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from lenssim.errors import LenssimError
from lenssim.machine import available_cores, available_memory

__all__ = ["Job", "run_jobs", "fitting_jobs"]

_JOB_MEMORY = 1.0e9  # bytes: a training of cnn had 1.2e9 resident (peak_mib of its run), libraries all share included
_SPAWN = get_context("spawn")  # a forked process could not use the GPU


@dataclass(frozen=True)
class Job:
    """A call of a function of a module, `work(*arguments)`, and its name for people."""

    name: str
    work: Callable[..., object]
    arguments: tuple[Any, ...]


def fitting_jobs() -> int:
    """Return the number of jobs that fit into the memory this process may use, at least one."""
    return max(1, int(available_memory() // _JOB_MEMORY))


def run_jobs(
    pieces: Sequence[Job], most: int, done: Callable[[str], None] = lambda name: None
) -> None:
    """Do all pieces, at most `most` at a time; `done` is told the name of each that ended well.

    After an error no other piece is begun, and it is raised once those in hand have ended; `LenssimError` of one whose
    process died. At SIGINT, SIGTERM and whatever `done` raises those in hand are sent SIGTERM, so that they may save
    what they have; here SIGTERM raises `SystemExit`.
    """
    waiting, busy = list(pieces)[::-1], dict[Connection, tuple[_Worker, Job]]()
    count = min(most, len(waiting))
    failed: BaseException | None = None
    with _terminable():
        idle = [_Worker(max(1, available_cores() // count)) for _ in range(count)]
        workers = tuple(idle)
        try:
            while busy or (waiting and failed is None):
                while idle and waiting and failed is None:
                    worker, piece = idle.pop(), waiting.pop()
                    worker.pipe.send(piece)
                    busy[worker.pipe] = worker, piece
                for pipe in wait(list(busy)):
                    worker, piece = busy.pop(pipe)
                    error = worker.told(piece)
                    if error is None:
                        done(piece.name)
                    failed = failed or error
                    idle.append(worker)
        finally:
            for worker in workers:
                worker.pipe.close()  # an idle one ends
            for worker, _ in busy.values():
                worker.process.terminate()
            for worker in workers:
                worker.process.join()
    if failed is not None:
        raise failed


class _Worker:
    """A process that does what comes through its pipe, and tells how each piece ended."""

    def __init__(self, threads: int) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(theirs, threads))
        self.process.start()
        theirs.close()

    def told(self, piece: Job) -> BaseException | None:
        """How the piece in hand ended, once that is known."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            hint = "; the system kills what takes more memory than there is: fewer at a time need less"
            return LenssimError(
                f"{piece.name}: its process ended by {how}{hint if how == 'SIGKILL' else ''}"
            )


def _work(pipe: Connection, threads: int) -> None:
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(threads)
    while True:
        try:
            piece: Job = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            piece.work(*piece.arguments)
        except LenssimError as error:
            pipe.send(type(error)(f"{piece.name}: {error}"))
        except KeyboardInterrupt as error:
            pipe.send(error)
        else:
            pipe.send(None)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # others may need it


def _end_with_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM as an exception, where Python takes signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
