"""Scratch: a folder of this process for temporary files, its own and its workers'.

Libraries leave files in TMPDIR when a process ends without its destructors: dask's workers, loaders
of batches, whatever is killed. So the temporary files of a command lie in a folder of its own below
lenssim's cache. The command removes it at its end. What a killed one left the next one removes:
nobody holds its lock any more.
"""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from lenssim.cache import cache_fault, cache_root, temporary_fault
from lenssim.errors import StorageError
from lenssim.names import printable
from lenssim.notes import say_once

__all__ = ["scratch_folder", "temporary_files"]

_NAME = "lenssim-"
_LOCK = ".lock"
_EXIT_PRIORITY = (
    -200
)  # of multiprocessing's duties at the end: its own folder in here goes before
_LONGEST = 71  # characters: below it lie sockets, whose whole path may have 103


def scratch_folder() -> Path:
    """Return this process's folder for temporary files, made now and removed when the process ends.

    It lies in the cache, or in TMPDIR where the cache cannot be written, others could change what lies
    there, or its path is too long.

    Raises:
        StorageError: Neither can be written.
    """
    try:
        folder = _scratch_of(os.getpid())
        folder.mkdir(
            parents=True, exist_ok=True, mode=0o700
        )  # somebody emptied the cache meanwhile
    except OSError as error:
        raise StorageError(
            f"no temporary file can be made in the cache nor in {tempfile.gettempdir()}: {error.strerror}; "
            "set LENSSIM_CACHE or TMPDIR to a folder that can be written",
            code="write-failed",
        ) from None
    return folder


@contextmanager
def temporary_files() -> Iterator[None]:
    """Have `tempfile` and all processes that are begun meanwhile use `scratch_folder()` as TMPDIR.

    Where there can be none TMPDIR stays as it is.
    """
    try:
        folder = scratch_folder()
    except StorageError:
        yield
        return
    environment = os.environ.get("TMPDIR")
    if environment and (fault := temporary_fault(Path(environment))):
        say_once(
            "tmpdir",
            f"temporary files go to {folder}; {printable(environment)} cannot be used: {fault}",
        )
    chosen = tempfile.tempdir
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = chosen
        if environment is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = environment


@lru_cache(maxsize=1)
def _scratch_of(process: int) -> Path:
    from multiprocessing.util import Finalize

    parent = _parent()
    try:
        folder, lock = _begin(parent)
    except OSError:
        parent = Path(tempfile.gettempdir())
        folder, lock = _begin(parent)
    Finalize(None, _end, (process, folder, lock), exitpriority=_EXIT_PRIORITY)
    _sweep(parent)
    return folder


def _parent() -> Path:
    root = cache_root()
    if root is None or cache_fault("tmp") or len(str(_new_name(root / "tmp"))) > _LONGEST:
        return Path(tempfile.gettempdir())
    return root / "tmp"


def _new_name(parent: Path) -> Path:
    return parent / f"{_NAME}{uuid.uuid4().hex[:8]}"


def _begin(parent: Path) -> tuple[Path, int]:
    """Make a new folder and hold its lock."""
    while True:
        folder = _new_name(parent)
        lock = os.open(f"{folder}{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with suppress(OSError):  # a file system without locks: nobody sweeps it, see _sweep
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:  # else a sweeper took it for dead before it was locked
            break
        os.close(lock)
    folder.mkdir(mode=0o700)
    return folder, lock


def _end(process: int, folder: Path, lock: int) -> None:
    if os.getpid() == process:  # not in a child that was forked
        _remove(folder)
        os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove the folders whose process is dead."""
    for path in parent.glob(f"{_NAME}*{_LOCK}"):
        try:
            lock = os.open(path, os.O_RDWR)
        except OSError:  # gone already, or another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path.with_suffix(""))
        except OSError:
            continue
        finally:
            os.close(lock)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        Path(f"{folder}{_LOCK}").unlink()
