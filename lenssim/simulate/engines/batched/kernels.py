"""Compiled kernels, stored in a cache: torch compiles them ahead of time, once.

Without a C++ compiler they are eager. A kernel is a pure function of tensors of fixed
shape, except for the dimensions that say how much work there is. Its file in the cache is
named by everything that its bits depend on: the sources of this package, torch's version,
the processor's instruction set, shapes and types.
"""

import fcntl
import hashlib
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lenssim.cache import (
    KERNEL_ROOM,
    cache_fault,
    cache_folder,
    cache_root,
    run_folder,
    scratch_folder,
    temporary_folder,
)
from lenssim.errors import ConfigError, SurroundingsError
from lenssim.folders import copy_at_once, danger, make_private, reason, refusal
from lenssim.notes import RUN_FOLDER, say, say_once
from lenssim.simulate.engines.batched import compilers
from lenssim.simulate.engines.batched.compilation import compile_module
from lenssim.simulate.engines.batched.inductor import private_inductor
from lenssim.simulate.engines.batched.packages import forget_package, load_package
from lenssim.simulate.engines.batched.settings import compiler

__all__ = ["asked_for_package", "kernel"]

_KERNELS = "kernels"  # folder in the cache and in the folder of a run
_INDUCTOR = {
    "cpp.threads": 1,  # a worker is one core, whoever compiled the kernel
    "cpp.enable_floating_point_contract_flag": "fast",  # fused multiply-add
}
_ONE_LOOP = {  # perturbers times rays never go to memory
    "realize_reads_threshold": 10_000,
    "realize_opcount_threshold": 10_000,
    "realize_acc_reads_threshold": 10_000,
}

_asking = False  # for the file of a kernel, in place of the kernel

# it warns of missing CUDA on machines without a GPU
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


def kernel(
    module: nn.Module,
    example: tuple[Tensor, ...],
    name: str,
    dynamic: tuple[Any, ...],
    *,
    compiled: bool,
    one_loop: bool = True,
) -> Callable[..., Any]:
    """Return `module` as a fast function for tensors shaped like `example`.

    A kernel in the cache is read where it is, without a lock. Where the cache cannot store
    kernels, or others could plant some, they are compiled into the private folder of the
    run. Their bits are the same.

    Args:
        module: A pure function of tensors.
        example: Tensors with the shapes and types of the arguments.
        name: Distinguishes the kernels of this package.
        dynamic: Dimensions that may differ: torch.export's `dynamic_shapes`, with an `Axis`
            for each of its Dims.
        compiled: Whether to compile at all.
        one_loop: Whether intermediate results stay in registers; long formulas compile in
            sensible time without it.

    Raises:
        ConfigError: It does not compile, with no sample.
        SurroundingsError: There is no folder to compile or to unpack it in.
    """
    if not compiled:
        return module
    if example[0].device.type != "cpu":
        private_inductor()
        return torch.compile(module, fullgraph=True, dynamic=True)
    if compiler() is None:
        raise ConfigError(
            "this data set was begun with compiled kernels, but there is no C++ compiler here; "
            "install g++ to continue",
            code="no-compiler",
        )
    package = f"{_key(example, name, dynamic)}.pt2"
    if _asking:
        raise _Answer(package, _ready(package) is not None)
    config = _INDUCTOR
    if one_loop:
        config = _ONE_LOOP | _INDUCTOR

    def make(target: Path) -> None:
        _compile_or_say_why(module, example, name, dynamic, target, config)

    path = _ready(package) or _compiled(package, name, make)
    try:
        return load_package(path)
    except RuntimeError as error:
        _forget_damaged(path, error)
    return load_package(_compiled(package, name, make))


class _Answer(Exception):
    """The file of a kernel, and whether it is ready; for `asked_for_package`."""


def asked_for_package(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[str, bool] | None:
    """Return the file of the kernel that a function would return, and whether it is ready.

    Nothing is compiled or loaded.

    Args:
        function: A function that calls `kernel`.
        arguments: Its arguments.

    Returns:
        None where its kernel has no file: it is eager, or one of another device.
    """
    global _asking
    _asking = True
    try:
        function(*arguments)
    except _Answer as answer:
        package, is_ready = answer.args
        return package, is_ready
    finally:
        _asking = False
    return None


def _forget_damaged(path: Path, error: RuntimeError) -> None:
    """Remove a kernel that could not be loaded, unless there is no room to unpack it."""
    if fault := refusal(temporary_folder(), KERNEL_ROOM):
        raise SurroundingsError(
            f"no kernel can be unpacked in {temporary_folder()}: {fault}; set TMPDIR",
            code="kernel-folder",
        ) from None
    say(f"the kernel {path} is damaged ({str(error).splitlines()[0]}); it is compiled anew")
    forget_package(path)


def _ready(package: str) -> Path | None:
    """Return the path of a compiled kernel that nobody else can have planted, or None."""
    folders = [cache_folder(_KERNELS)]
    if shared := os.environ.get(RUN_FOLDER):
        folders.append(Path(shared) / _KERNELS)
    for folder in folders:
        if folder is None:
            continue
        path = folder / package
        if path.is_file() and not path.is_symlink() and not danger(path, folder):
            return path
    return None


def _compiled(package: str, name: str, make: Callable[[Path], None]) -> Path:
    """Return the path of a kernel, compiled by `make` unless another process has just done so."""
    if fault := cache_fault(_KERNELS):
        place = cache_root() or "the cache"
        folder = run_folder() / _KERNELS
        say_once(
            "cache",
            f"kernels cannot be kept in {place}: {fault}. They are compiled for this run alone, which takes "
            "minutes each time; set LENSSIM_CACHE to a folder of your own that can be written",
        )
        if problem := make_private(folder):
            raise SurroundingsError(
                f"kernels can be kept neither in {place} nor in {folder}: {problem}",
                code="kernel-folder",
                place=place,
                folder=folder,
            )
    else:
        folder = (cache_root() or run_folder()) / _KERNELS
    with _locked(folder, package):
        path = _ready(package)
        if path is not None:
            return path
        compilers.start_helpers(folder)
        say(f"compiling a kernel, once ({name.split()[0]}, kept in {folder})")
        with _workshop() as workshop:
            make(workshop / package)
            return _stored(workshop / package, folder)


@contextmanager
def _locked(folder: Path, package: str) -> Iterator[None]:
    """Hold a lock, so that only one of several processes compiles a kernel.

    File systems without locks do without. A helper does not wait for the lock.
    """
    path = folder / f"{package}.lock"
    try:
        file = path.open("w")
    except OSError as error:
        raise SurroundingsError(
            f"cannot write into {folder}: {reason(error)}; set LENSSIM_CACHE",
            code="kernel-folder",
            folder=folder,
        ) from None
    with file:
        if compilers.waits:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
        path.unlink(missing_ok=True)  # who waits for it finds the kernel


@contextmanager
def _workshop() -> Iterator[Path]:
    """Make a private folder to compile in, and remove it afterwards."""
    private_inductor()
    try:
        with scratch_folder() as folder:
            yield folder
    except OSError as error:
        raise SurroundingsError(
            f"cannot compile in {temporary_folder()}: {reason(error)}; set TMPDIR",
            code="kernel-folder",
        ) from None


def _stored(package: Path, folder: Path) -> Path:
    """Move a kernel into the cache, or into the folder of the run where that is impossible."""
    try:
        return copy_at_once(package, folder, 0o600)
    except OSError as error:
        say_once(
            "cache",
            f"kernels cannot be kept in {folder}: {reason(error)}; set LENSSIM_CACHE to "
            "another folder",
        )
        shared = run_folder() / _KERNELS
        make_private(shared)
        return copy_at_once(package, shared, 0o600)


def _compile_or_say_why(
    module: nn.Module,
    example: tuple[Tensor, ...],
    name: str,
    dynamic: tuple[Any, ...],
    target: Path,
    config: dict[str, Any],
) -> None:
    try:
        compile_module(module, example, dynamic, target, config)
    except Exception as error:
        if fault := refusal(target.parent, KERNEL_ROOM // 4):
            raise SurroundingsError(
                f"no kernel can be compiled in {target.parent.parent}: {fault}; set TMPDIR",
                code="kernel-folder",
                parent=target.parent.parent,
            ) from None
        log = (cache_folder(_KERNELS) or run_folder()) / f"{target.stem}.log"
        with suppress(OSError):
            log.write_text(
                f"{name}\n\n{''.join(traceback.format_exception(error))}", encoding="utf-8"
            )
        raise ConfigError(
            f"the kernel {name.split()[0]!r} does not compile with this machine's torch and g++ "
            f"({log}); mend them, or take --engine lenstronomy without --detectability, which "
            "needs neither",
            code="kernel-compile",
            log=log,
        ) from error


def _key(example: tuple[Tensor, ...], name: str, dynamic: tuple[Any, ...]) -> str:
    digest = hashlib.sha256(_sources())
    shapes = [f"{tuple(tensor.shape)} {tensor.dtype}" for tensor in example]
    facts = (
        name,
        torch.__version__,
        torch.backends.cpu.get_cpu_capability(),
        str(dynamic),
        *shapes,
    )
    digest.update("\n".join(facts).encode())
    return digest.hexdigest()[:32]


@lru_cache
def _sources() -> bytes:
    folder = Path(__file__).parent
    profiles = sorted((folder / "profiles").glob("*.py"))
    paths = [folder / "rays.py", folder / "adaptive.py", *profiles]
    return b"".join(path.read_bytes() for path in paths)
