"""C++ functions of this package, compiled once and loaded without torch.

Each has a twin in numpy or torch that gives the same bits and serves where there is no compiler. So
nothing that is stored depends on which of the two ran.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from lenssim.cache import cache_folder, run_folder, scratch_folder
from lenssim.errors import SurroundingsError
from lenssim.folders import copy_at_once, danger, make_private, reason
from lenssim.machine import processor_features
from lenssim.notes import say_once

__all__ = ["compiler", "is_eager", "load"]

_KERNELS = "kernels"  # folder in the cache and in the folder of a run
_TIMEOUT = 120  # s
_FLAGS = (
    "-O3",
    "-march=native",
    "-ffp-contract=off",  # every operation rounds as numpy's does
    "-fno-math-errno",
    "-std=c++17",
    "-shared",
    "-fPIC",
)


@lru_cache
def compiler() -> str | None:
    """Return the path of the C++ compiler that torch would use, None without one."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")


def is_eager() -> bool:
    """Return whether compiled code is not wanted here, or cannot be had.

    `LENSSIM_KERNELS=eager` does without, as does a machine without a compiler.
    """
    return os.environ.get("LENSSIM_KERNELS") == "eager" or compiler() is None


def load(source: Path, *flags: str) -> ctypes.CDLL | None:
    """Return a source file of this package as a library.

    It is compiled into the cache of kernels, or into the folder of the run where the cache
    cannot hold any.

    Args:
        source: A C++ file with functions of C linkage.
        *flags: Further options of the compiler.

    Returns:
        The library; None where nothing can be compiled. A note says why.
    """
    if is_eager():
        return None
    try:
        return ctypes.CDLL(str(_compiled(source, flags)))
    except (OSError, SurroundingsError, subprocess.SubprocessError) as error:
        say_once(source.stem, f"{source.name} could not be compiled, numpy serves: {error}")
        return None


def _compiled(source: Path, flags: tuple[str, ...]) -> Path:
    """Return the path of a compiled source, which nobody else can have planted."""
    name = f"{_key(source, flags)}.so"
    folder = cache_folder(_KERNELS)
    if folder is None:
        folder = run_folder() / _KERNELS
        make_private(folder)
    path = folder / name
    if path.is_file() and not path.is_symlink() and not danger(path, folder):
        return path
    with scratch_folder() as workshop:
        fresh = workshop / name
        _compile(source, flags, fresh)
        return _stored(fresh, folder)


def _compile(source: Path, flags: tuple[str, ...], target: Path) -> None:
    command = [str(compiler()), *_FLAGS, *flags, str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    if done.returncode:
        lines = done.stderr.splitlines() or ["the compiler says nothing"]
        raise SurroundingsError(lines[0], code="kernel-compile")


def _stored(fresh: Path, folder: Path) -> Path:
    """Move a library into a folder, or into that of the run where this is impossible."""
    try:
        return copy_at_once(fresh, folder, 0o700)
    except OSError as error:
        shared = run_folder() / _KERNELS
        if problem := make_private(shared):
            raise SurroundingsError(
                f"{reason(error)}; {shared}: {problem}", code="kernel-folder", folder=shared
            ) from None
        return copy_at_once(fresh, shared, 0o700)


def _key(source: Path, flags: tuple[str, ...]) -> str:
    """Return the name of a compiled source: everything that it can run on, and its text."""
    digest = hashlib.sha256(source.read_bytes())
    digest.update(
        "\n".join([str(compiler()), *_FLAGS, *flags, processor_features()]).encode()
    )
    return digest.hexdigest()[:32]
