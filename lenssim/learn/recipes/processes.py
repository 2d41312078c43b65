"""A pool of processes that run jobs side by side."""

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

__all__ = ["Job", "fitting_jobs", "run_jobs"]

_JOB_MEMORY = 1.0e9
"""Bytes of a job. A training of cnn had 1.2e9 resident, with the libraries that all jobs share (its peak_mib)."""
_SPAWN = get_context("spawn")  # a forked process could not use the GPU
_MEMORY_HINT = (
    "; the system kills what takes more memory than there is: fewer at a time need less"
)


@dataclass(frozen=True)
class Job:
    """A call `work(*arguments)` of a function of a module.

    Attributes:
        name: Name of the job in messages.
        work: The function.
        arguments: Its arguments.
    """

    name: str
    work: Callable[..., object]
    arguments: tuple[Any, ...]


def fitting_jobs() -> int:
    """Return the number of jobs that fit into the memory this process may use, at least one.

    Example:
        >>> fitting_jobs() >= 1
        True
    """
    return max(1, int(available_memory() // _JOB_MEMORY))


def run_jobs(
    jobs: Sequence[Job],
    max_processes: int,
    report: Callable[[str], None] = lambda name: None,
) -> None:
    """Run jobs in processes of their own.

    After an error no other job starts, and the error is raised once the running jobs have ended. At
    SIGINT and SIGTERM, and if `report` raises, the running jobs are sent SIGTERM, so that they may
    save their state. In this process SIGTERM raises `SystemExit`.

    Args:
        jobs: The jobs.
        max_processes: How many run at a time.
        report: Called with the name of each job that succeeded.

    Raises:
        LenssimError: A job failed, or its process died.
    """
    count = min(max_processes, len(jobs))
    with _terminable():
        pool = _Pool(count)
        try:
            pool.run(jobs, report)
        finally:
            pool.close()
    if pool.error is not None:
        raise pool.error


class _Pool:
    """Processes that wait for jobs or run them, and the first error among those jobs."""

    def __init__(self, count: int) -> None:
        threads = max(1, available_cores() // max(1, count))
        self.workers = [_Worker(threads) for _ in range(count)]
        self.idle = list(self.workers)
        self.busy: dict[Connection, tuple[_Worker, Job]] = {}
        self.error: BaseException | None = None

    def run(self, jobs: Sequence[Job], report: Callable[[str], None]) -> None:
        """Run the jobs in their order, until all have ended or one failed."""
        waiting = list(jobs)[::-1]
        while self.busy or (waiting and self.error is None):
            while self.idle and waiting and self.error is None:
                self._start(waiting.pop())
            self._wait(report)

    def _start(self, job: Job) -> None:
        worker = self.idle.pop()
        worker.pipe.send(job)
        self.busy[worker.pipe] = (worker, job)

    def _wait(self, report: Callable[[str], None]) -> None:
        """Wait until at least one running job has ended."""
        for pipe in wait(list(self.busy)):
            assert isinstance(pipe, Connection)
            worker, job = self.busy.pop(pipe)
            error = worker.wait_for(job)
            if error is None:
                report(job.name)
            self.error = self.error or error
            self.idle.append(worker)

    def close(self) -> None:
        """End all processes: an idle one when its pipe closes, a busy one by SIGTERM."""
        for worker in self.workers:
            worker.pipe.close()
        for worker, _ in self.busy.values():
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join()


class _Worker:
    """A process that runs the jobs that come through its pipe, and sends back their errors."""

    def __init__(self, threads: int) -> None:
        self.pipe, remote_pipe = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(remote_pipe, threads))
        self.process.start()
        remote_pipe.close()

    def wait_for(self, job: Job) -> BaseException | None:
        """Wait for the end of the running job; return its error, None if it succeeded."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            ending = _ending(self.process.exitcode or 0)
            return LenssimError(
                f"{job.name}: its process ended by {ending}",
                code="job-ended",
                name=job.name,
            )


def _ending(exit_code: int) -> str:
    """Describe how a process ended."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return name + _MEMORY_HINT
    return name


def _work(pipe: Connection, threads: int) -> None:
    """Run jobs from a pipe until it closes."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(threads)
    while True:
        try:
            job: Job = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        pipe.send(_error_of(job))
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # other jobs may need it


def _error_of(job: Job) -> BaseException | None:
    """Run a job; return its error."""
    try:
        job.work(*job.arguments)
    except LenssimError as error:
        return type(error)(f"{job.name}: {error}")
    except KeyboardInterrupt as error:
        return error
    return None


def _end_with_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, in the main thread, where Python receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
