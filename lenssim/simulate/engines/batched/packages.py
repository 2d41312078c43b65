"""Packages of compiled kernels: torch's archives as functions, unpacked once for all processes."""

import atexit
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["forget_package", "load_package"]

_DAMAGES = (  # what archives that cannot be unpacked provoke
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


def load_package(path: Path) -> Callable[..., Tensor | tuple[Tensor, ...]]:
    """Return the kernel in the archive `path`.

    torch unpacks an archive into TMPDIR for every process and leaves it there if the
    process is killed. So it is unpacked once, beside itself, and loaded from there. Where
    that folder cannot be written, torch unpacks the archive its own way.

    Raises:
        RuntimeError: The archive holds no kernel for this machine.
    """
    folder = _unpacked(path)
    if folder is not None:
        try:
            return _load(folder)
        except RuntimeError:  # this release of torch reads archives only
            return _load_archive(path)
    return _load_archive(path)


def forget_package(path: Path) -> None:
    """Remove a damaged archive and its unpacked files."""
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    with suppress(OSError):
        path.unlink()


def _load_archive(path: Path) -> Callable[..., Tensor | tuple[Tensor, ...]]:
    """Let torch unpack an archive into a folder that goes with this process.

    It leaves what it has unpacked of a damaged archive, and of any where a process ends without
    its destructors.
    """
    try:
        folder = tempfile.mkdtemp(prefix="lenssim-kernel-")
    except OSError:
        return _load(path)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder  # torch asks for it in C
    try:
        return _load(path)
    except RuntimeError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def _load(path: Path) -> Callable[..., Tensor | tuple[Tensor, ...]]:
    """Load with the loader under torch's own if possible: torch's own imports for seconds."""
    try:
        runner = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", True, 1, -1)
    except UnicodeDecodeError as error:  # torch's message quotes a damaged name
        raise RuntimeError("names in the archive are damaged") from error
    except (AttributeError, TypeError):  # not in this release of torch, or not like this
        return torch._inductor.aoti_load_package(str(path))

    def run(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        results = runner.boxed_run(list(tensors))
        if len(results) == 1:
            return results[0]
        return tuple(results)

    return run


def _unpacked(path: Path) -> Path | None:
    """Return the folder with an archive's files, unpacked if need be; None if impossible."""
    folder = path.with_suffix("")
    if folder.exists():
        return folder if _is_private(folder) else None
    try:
        fresh = Path(tempfile.mkdtemp(dir=path.parent))
    except OSError:
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(fresh)
        fresh.rename(folder)
    except _DAMAGES:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder if _is_private(folder) else None  # of two processes the first one's stays


def _is_private(folder: Path) -> bool:
    """Whether a folder is this user's, and nobody else could have put programs into it."""
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(facts.st_mode)
        and facts.st_uid == os.geteuid()
        and not facts.st_mode & 0o022
    )
