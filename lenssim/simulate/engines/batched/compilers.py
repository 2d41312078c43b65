"""Processes that compile the next kernels while this one compiles the first.

An engine announces the kernels that its scenes need. Helpers start when one of them turns
out to be missing, so they cost nothing where all are in the cache.
"""

import atexit
import fcntl
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lenssim.lazy import load
from lenssim.machine import available_cores, available_memory

__all__ = ["Job", "announce", "help_out", "start_compilers", "start_helpers"]

Job = tuple[str, tuple[Any, ...]]
"""A function that returns a kernel, as "module:name", and its arguments."""

_MODULE = "lenssim.simulate.engines.batched.compilers"
_MEMORY = 1.0e9  # bytes of a process that compiles
waits = True  # for other processes that compile the same kernel
_announced: list[Job] = []
_started: list[subprocess.Popen[bytes]] = []


def announce(jobs: Sequence[Job]) -> None:
    """Say which kernels are needed next, in their order.

    Args:
        jobs: One job for each kernel.
    """
    _announced[:] = jobs


def start_helpers(folder: Path) -> None:
    """Start processes that compile the kernels announced, the last ones first.

    There is one less than there are cores, as far as memory goes. Processes that share
    `folder` start one group of helpers.

    Args:
        folder: Folder of the kernels.
    """
    jobs = list(dict.fromkeys(_announced))
    _announced.clear()
    count = min(len(jobs), available_cores(), int(available_memory() // _MEMORY)) - 1
    if count < 1:
        return
    with suppress(OSError), (folder / "helpers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # helpers hold it while they live
        for first in range(count):
            order = jobs[::-1]
            _start_helper([*order[first:], *order[:first]], lock.fileno())
        (folder / "helpers.lock").unlink()


def start_compilers(jobs: Sequence[Job], count: int) -> "list[subprocess.Popen[bytes]]":
    """Start processes that compile kernels without a word, each from another one on.

    Args:
        jobs: The kernels' jobs.
        count: Number of processes.
    """
    return [
        _start_helper([*jobs[first:], *jobs[:first]], stderr=subprocess.DEVNULL)
        for first in range(count)
    ]


def _start_helper(
    jobs: list[Job], lock: int | None = None, stderr: int | None = None
) -> "subprocess.Popen[bytes]":
    helper = subprocess.Popen(
        [sys.executable, "-c", f"import {_MODULE} as compilers; compilers.main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        pass_fds=() if lock is None else (lock,),
    )
    _started.append(helper)
    assert helper.stdin is not None
    with suppress(BrokenPipeError), helper.stdin as stream:
        pickle.dump(jobs, stream)
    return helper


@atexit.register
def _end_helpers() -> None:
    """End helpers with the process that needed their kernels."""
    for helper in _started:
        helper.terminate()
        helper.wait()


def help_out(jobs: Sequence[Job]) -> None:
    """Compile those of the kernels that no other process is compiling.

    A kernel that does not compile is left to the process that needs it, which says why.
    """
    global waits
    waits = False
    for function, arguments in jobs:
        with suppress(Exception):
            load(function)(*arguments)


def main() -> None:
    """Compile the kernels that the process at the other end of stdin names."""
    help_out(pickle.load(sys.stdin.buffer))
