"""Processes that compile the next kernels while this one compiles the first.

An engine announces the kernels that its scenes need. Helpers start when one of them turns
out to be missing, so they cost nothing where all are in the cache.
"""

import atexit
import fcntl
import gc
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from lenssim.lazy import load
from lenssim.machine import available_cores, available_memory

__all__ = [
    "Job",
    "announce",
    "hand_out",
    "help_out",
    "start_helpers",
    "waiting_compilers",
]

Job = tuple[str, tuple[Any, ...]]
"""A function that returns a kernel, as "module:name", and its arguments."""

_PACKAGE = "lenssim.simulate.engines.batched"
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


def waiting_compilers(most: int) -> "list[subprocess.Popen[bytes]]":
    """Start processes that import torch's compiler, without a word, and wait for jobs.

    There are as many as there are cores, as far as memory goes.

    Args:
        most: Largest number of processes.
    """
    room = int(available_memory() // _MEMORY)
    count = max(1, min(most, available_cores(), room))
    return [_start_process(stderr=subprocess.DEVNULL) for _ in range(count)]


def hand_out(jobs: Sequence[Job], helpers: "Sequence[subprocess.Popen[bytes]]") -> None:
    """Let waiting processes compile kernels, each from another one on, the last ones first.

    Args:
        jobs: The kernels' jobs; without any, the processes end.
        helpers: What `waiting_compilers` returned.
    """
    order = list(jobs[::-1])  # those of light take longest
    for first, helper in enumerate(helpers):
        if not jobs:
            helper.terminate()
        _tell(helper, [*order[first:], *order[:first]])


def _start_helper(jobs: list[Job], lock: int) -> None:
    _tell(_start_process(pass_fds=(lock,)), jobs)


def _start_process(**options: Any) -> "subprocess.Popen[bytes]":
    helper = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import {_PACKAGE}.compilers as compilers; compilers.main()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        **options,
    )
    _started.append(helper)
    return helper


def _tell(helper: "subprocess.Popen[bytes]", jobs: list[Job]) -> None:
    assert helper.stdin is not None
    with suppress(BrokenPipeError), helper.stdin as stream:
        pickle.dump(jobs, stream)


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
    gc.disable()  # it would look through all that torch imports, again and again
    with suppress(Exception):  # whoever needs a kernel hears of it
        load(f"{_PACKAGE}.inductor:private_inductor")()
        import_module(f"{_PACKAGE}.engine")
        import_module("torch._inductor.compile_fx")
    help_out(_jobs_in(sys.stdin.buffer))


def _jobs_in(stream: BinaryIO) -> list[Job]:
    """Return the jobs that a process was told; none if the other process has ended."""
    try:
        jobs: list[Job] = pickle.load(stream)
    except EOFError:
        return []
    return jobs
