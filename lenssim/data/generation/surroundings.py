"""What a run needs of the machine around it: checks that `lenssim doctor` shows and that every run begins with."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim import cache, machine
from lenssim.data.generation.runners import fitting_workers
from lenssim.errors import SurroundingsError
from lenssim.folders import free_bytes, reason, refusal
from lenssim.simulate.engines.batched.settings import compiler

__all__ = ["FAIL", "OK", "WARN", "Finding", "examine", "require"]

OK = "ok"
WARN = "warn"  # it works, but slower or not to the end of everything
FAIL = "fail"  # it stops a run

_LEAST_BYTES = 900 << 20  # of a run without workers
_FILES = 64  # descriptors of the process that leads, without workers
_FILES_A_WORKER = 12
_SHARED_BYTES = 64 << 20
_SECONDS = 60.0  # for a compiler and a socket to answer
_PROGRAM = (
    '#include <cmath>\nextern "C" double lenssim_check(double x) { return std::sqrt(x); }\n'
)


@dataclass(frozen=True)
class Finding:
    """What one check came to.

    Attributes:
        check: What was looked at.
        state: `ok`, `warn` (slower, or less is kept) or `fail` (a run cannot work).
        text: What was seen.
        mend: What to do about it; empty where all is well.
    """

    check: str
    state: str
    text: str
    mend: str = ""


def examine(workers: int) -> list[Finding]:
    """Return what every check finds here.

    Args:
        workers: Worker processes of the runs to come; 0 for runs in one process.
    """
    checks: list[Callable[[], Finding]] = [
        _kernel_cache,
        _temporary_files,
        _compiler_works,
        lambda: _memory(workers),
        lambda: _loopback(workers),
        lambda: _open_files(workers),
        _shared_memory,
    ]
    return [check() for check in checks]


def require(workers: int, engine_settings: dict[str, Any] | None = None) -> None:
    """Check, in milliseconds, what would stop a run, and prepare what its processes share.

    Args:
        workers: Worker processes; 0 for a run in this process alone.
        engine_settings: The engine's settings in a plan; kernels matter where they are compiled.

    Raises:
        SurroundingsError: The run could not work here. The message says what to mend.
    """
    if (engine_settings or {}).get("kernels") == "compiled":
        cache.prepare_run_folder()
    for finding in _of_workers(workers):
        if finding.state == FAIL:
            raise SurroundingsError(
                f"{finding.check}: {finding.text}; {finding.mend}",
                code="surroundings",
                check=finding.check,
                text=finding.text,
            )


def _of_workers(workers: int) -> Iterator[Finding]:
    if workers > 0:
        cache.temporary_folder()
        yield _loopback(workers)
        yield _open_files(workers)


def _kernel_cache() -> Finding:
    root = cache.cache_root()
    place = "no folder" if root is None else str(root)
    if fault := cache.cache_fault("kernels"):
        return Finding(
            "kernel cache",
            WARN,
            f"{place}: {fault}; every run compiles its kernels anew",
            "set LENSSIM_CACHE to a folder of your own that can be written",
        )
    return Finding("kernel cache", OK, f"{place}{_free(Path(place))}")


def _temporary_files() -> Finding:
    named = os.environ.get("TMPDIR")
    mend = f"set TMPDIR to a folder of your own with {cache.KERNEL_ROOM >> 20} MiB of free space"
    fault = cache.temporary_fault(Path(named)) if named else ""
    try:
        folder = cache.temporary_folder()
    except SurroundingsError as error:
        return Finding("temporary files", FAIL, str(error).split(": set TMPDIR")[0], mend)
    if fault:
        return Finding(
            "temporary files", WARN, f"TMPDIR={named}: {fault}; {folder} is used", mend
        )
    return Finding("temporary files", OK, f"{folder}{_free(folder)}")


def _free(folder: Path) -> str:
    free = free_bytes(folder)
    return "" if free is None else f", {free / 2**30:,.1f} GiB free"


def _compiler_works() -> Finding:
    path = compiler()
    if path is None:
        return Finding(
            "C++ compiler",
            WARN,
            "none; kernels run uncompiled, several times slower, and data sets begun with one cannot be continued",
            "install g++",
        )
    fault = _compile_fault(path)
    if fault:
        return Finding(
            "C++ compiler",
            FAIL,
            f"{path}: {fault}",
            "mend it, or set LENSSIM_KERNELS=eager",
        )
    return Finding("C++ compiler", OK, path)


def _compile_fault(path: str) -> str:
    try:
        with cache.scratch_folder() as folder:
            source = folder / "check.cpp"
            source.write_text(_PROGRAM)
            command = [
                path,
                "-O1",
                "-shared",
                "-fPIC",
                "-o",
                str(folder / "check.so"),
                str(source),
            ]
            compilation = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_SECONDS
            )
    except (OSError, subprocess.TimeoutExpired, SurroundingsError) as error:
        return str(error)
    lines = compilation.stderr.strip().splitlines()
    return f"it compiles nothing: {(lines or [''])[0]}" if compilation.returncode else ""


def _memory(workers: int) -> Finding:
    available = machine.available_memory()
    fitting = fitting_workers()
    text = f"{available / 2**30:.1f} GiB, enough for {fitting} workers"
    if available < _LEAST_BYTES:
        text = f"only {available / 2**30:.1f} GiB"
        return Finding("memory", FAIL, text, "ask for more memory: a run takes 0.9 GiB")
    if fitting < workers:
        return Finding(
            "memory", WARN, f"{text}; {workers} are wanted", f"--workers {fitting}"
        )
    return Finding("memory", OK, text)


def _loopback(workers: int) -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_SECONDS)
            with socket.create_connection(server.getsockname(), timeout=_SECONDS):
                server.accept()[0].close()
    except OSError as error:
        state = FAIL if workers else WARN
        return Finding(
            "loopback",
            state,
            f"processes cannot reach each other at 127.0.0.1 ({reason(error)})",
            "use --workers 0, or switch the interface lo on",
        )
    return Finding("loopback", OK, "127.0.0.1 answers")


def _open_files(workers: int) -> Finding:
    limits = machine.open_files_limit()
    if limits is None:
        return Finding("open files", OK, "no limit")
    limit, hard_limit = limits
    needed = _FILES + _FILES_A_WORKER * workers
    if limit < needed:
        fitting = max(0, (limit - _FILES) // _FILES_A_WORKER)
        mend = (
            f"ulimit -n {needed}"
            if hard_limit < 0 or hard_limit >= needed
            else f"--workers {fitting}"
        )
        text = f"{limit} may be open at a time, {workers} workers take up to {needed}"
        return Finding(
            "open files",
            FAIL,
            text,
            f"{mend}; {fitting} workers would do" if fitting else mend,
        )
    return Finding("open files", OK, f"{limit} at a time")


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")
    mend = "lenssim train --live needs it with --workers: use --workers 0, or docker run --shm-size 1g"
    if not folder.is_dir():
        return Finding("shared memory", WARN, "there is no /dev/shm", mend)
    if fault := refusal(folder, _SHARED_BYTES // 2):
        return Finding("shared memory", WARN, f"{folder}: {fault}", mend)
    return Finding("shared memory", OK, f"{folder}{_free(folder)}")
