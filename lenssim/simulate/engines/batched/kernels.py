"""Compiled kernels, made once and kept: ahead-of-time compiled by torch where there is a C++ compiler, eager elsewhere.

A kernel is a pure function of tensors of fixed shape, but for the dimensions that say how much work there is. Its file
in the cache is named by everything its bits depend on:
the sources of this package, torch's version, the processor's instruction set, shapes and types.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
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
from lenssim.folders import danger, make_private, reason, refusal
from lenssim.notes import RUN_FOLDER, say, say_once
from lenssim.simulate.engines.batched.inductor import private_inductor
from lenssim.simulate.engines.batched.packages import forget_package, load_package
from lenssim.simulate.engines.batched.settings import compiler

__all__ = ["kernel"]

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

logging.getLogger("torch.utils.cpp_extension").setLevel(
    logging.ERROR
)  # it misses CUDA on machines without one


def kernel(
    module: nn.Module,
    example: tuple[Tensor, ...],
    name: str,
    dynamic: tuple[Any, ...],
    *,
    compiled: bool,
    one_loop: bool = True,
) -> Callable[..., Tensor]:
    """`module` as a fast function for tensors shaped like `example`, except in the dimensions that are `dynamic`.

    A kernel that is in the cache is read as it lies there, without a lock. Where the cache cannot keep kernels, or
    others could plant some, they are compiled into the private folder of the run: their bits are the same.

    Args:
        module: A pure function of tensors.
        example: Tensors with the shapes and types of the arguments.
        name: What tells kernels of this package apart.
        dynamic: torch.export's `dynamic_shapes`.
        compiled: Whether to compile at all.
        one_loop: Whether intermediate results stay in registers; long formulas compile in sensible time without it.

    Raises:
        ConfigError: It does not compile: another sample would not either.
        SurroundingsError: There is no folder to compile or to unpack it in.
    """
    if not compiled:
        return module
    if example[0].device.type != "cpu":
        private_inductor()
        return torch.compile(module, fullgraph=True, dynamic=True)
    if compiler() is None:
        raise ConfigError(
            "this data set was begun with compiled kernels, but there is no C++ compiler here; install g++ to continue"
        )
    package = f"{_key(example, name, dynamic)}.pt2"
    config = _ONE_LOOP | _INDUCTOR if one_loop else _INDUCTOR

    def make(target: Path) -> None:
        _compile_or_say_why(module, example, name, dynamic, target, config)

    path = _ready(package) or _made(package, name, make)
    try:
        return load_package(path)
    except RuntimeError as error:
        if fault := refusal(temporary_folder(), KERNEL_ROOM):
            raise SurroundingsError(
                f"no kernel can be unpacked in {temporary_folder()}: {fault}; set TMPDIR"
            ) from None
        say(
            f"the kernel {path} is damaged ({str(error).splitlines()[0]}); it is compiled anew"
        )
        forget_package(path)
    return load_package(_made(package, name, make))


def _ready(package: str) -> Path | None:
    """A compiled kernel that nobody else can have planted; None if there is none."""
    shared = os.environ.get(RUN_FOLDER)
    folders = [cache_folder(_KERNELS), Path(shared) / _KERNELS if shared else None]
    for folder in folders:
        if folder is None:
            continue
        path = folder / package
        if path.is_file() and not path.is_symlink() and not danger(path, folder):
            return path
    return None


def _made(package: str, name: str, make: Callable[[Path], None]) -> Path:
    """Path of a kernel that `make` compiles, unless another process of this user has just done so."""
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
                f"kernels can be kept neither in {place} nor in {folder}: {problem}"
            )
    else:
        folder = (cache_root() or run_folder()) / _KERNELS
    with _locked(folder):
        path = _ready(package)
        if path is not None:
            return path
        say(f"compiling a kernel, once ({name.split()[0]}, kept in {folder})")
        with _workshop() as workshop:
            make(workshop / package)
            return _kept(workshop / package, folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Of several processes that want a new kernel, one compiles. File systems without locks do without."""
    try:
        file = (folder / "lock").open("w")
    except OSError as error:
        raise SurroundingsError(
            f"cannot write into {folder}: {reason(error)}; set LENSSIM_CACHE"
        ) from None
    with file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _workshop() -> Iterator[Path]:
    """A private folder to compile in, gone afterwards."""
    private_inductor()
    try:
        with scratch_folder() as folder:
            yield folder
    except OSError as error:
        raise SurroundingsError(
            f"cannot compile in {temporary_folder()}: {reason(error)}; set TMPDIR"
        ) from None


def _kept(package: Path, folder: Path) -> Path:
    """Move a kernel to where it is kept, whole or not at all; to the folder of the run where that is impossible."""
    try:
        return _moved(package, folder)
    except OSError as error:
        say_once(
            "cache",
            f"kernels cannot be kept in {folder}: {reason(error)}; set LENSSIM_CACHE to another folder",
        )
        shared = run_folder() / _KERNELS
        make_private(shared)
        return _moved(package, shared)


def _moved(package: Path, folder: Path) -> Path:
    fresh = folder / f".{package.name}-{os.getpid()}"
    try:
        shutil.copyfile(package, fresh)
        fresh.chmod(0o600)
        os.replace(fresh, folder / package.name)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    return folder / package.name


def _compile_or_say_why(
    module: nn.Module,
    example: tuple[Tensor, ...],
    name: str,
    dynamic: tuple[Any, ...],
    target: Path,
    config: dict[str, Any],
) -> None:
    try:
        _compile(module, example, dynamic, target, config)
    except Exception as error:
        if fault := refusal(target.parent, KERNEL_ROOM // 4):
            raise SurroundingsError(
                f"no kernel can be compiled in {target.parent.parent}: {fault}; set TMPDIR"
            ) from None
        log = (cache_folder(_KERNELS) or run_folder()) / f"{target.stem}.log"
        with suppress(OSError):
            log.write_text(
                f"{name}\n\n{''.join(traceback.format_exception(error))}", encoding="utf-8"
            )
        raise ConfigError(
            f"the kernel {name.split()[0]!r} does not compile with this machine's torch and g++ ({log}); mend "
            "them, or take --engine lenstronomy without --detectability, which needs neither"
        ) from error


def _compile(
    module: nn.Module,
    example: tuple[Tensor, ...],
    dynamic: tuple[Any, ...],
    target: Path,
    config: dict[str, Any],
) -> None:
    program = torch.export.export(module, example, dynamic_shapes=dynamic)
    torch._inductor.aoti_compile_and_package(
        program, package_path=str(target), inductor_configs=config | _libraries()
    )


def _libraries() -> dict[str, Any]:
    """What to link besides: without a shared libstdc++ a compiler builds its own copy in, and torch may crash."""
    name = "libstdc++.so"
    found = subprocess.run(
        [str(compiler()), f"-print-file-name={name}"], capture_output=True, text=True
    ).stdout.strip()
    return {"aot_inductor.custom_op_libs": [f":{name}.6"]} if found == name else {}


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
    here = Path(__file__).parent
    return b"".join(
        path.read_bytes()
        for path in [
            here / "rays.py",
            here / "adaptive.py",
            *sorted((here / "profiles").glob("*.py")),
        ]
    )
