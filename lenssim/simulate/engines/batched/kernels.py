"""Compiled kernels, made once and kept: ahead-of-time compiled by torch where there is a C++ compiler, eager elsewhere.

A kernel is a pure function of tensors of fixed shape, but for the dimensions that say how much work there is. Its file
in the cache is named by everything its bits depend on:
the sources of this package, torch's version, the processor's instruction set, shapes and types.
"""

import fcntl
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lenssim.errors import ConfigError
from lenssim.simulate.engines.batched.packages import load_package
from lenssim.simulate.engines.batched.settings import compiler

__all__ = ["kernel"]

_INDUCTOR = {
    "cpp.threads": 1,  # a worker is one core, whoever compiled the kernel
    "cpp.enable_floating_point_contract_flag": "fast",  # fused multiply-add
}
_ONE_LOOP = {  # perturbers times rays never go to memory
    "realize_reads_threshold": 10_000,
    "realize_opcount_threshold": 10_000,
    "realize_acc_reads_threshold": 10_000,
}

logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses CUDA on machines without one


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

    `dynamic` is torch.export's `dynamic_shapes`; `name` tells kernels of this package apart. `one_loop` keeps
    intermediate results in registers; long formulas compile in sensible time without it. `ConfigError` where it does
    not compile: another sample would not either.
    """
    if not compiled:
        return module
    if example[0].device.type != "cpu":
        return torch.compile(module, fullgraph=True, dynamic=True)
    if compiler() is None:
        raise ConfigError(
            "this data set was begun with compiled kernels, but there is no C++ compiler here; install g++ to continue"
        )
    path = _cache() / f"{_key(example, name, dynamic)}.pt2"
    with (_cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several workers that want a new kernel, one compiles
        if not path.exists():
            print(f"lenssim: compiling a kernel, once ({name.split()[0]}, kept in {path.parent})", file=sys.stderr)
            try:
                _compile(module, example, dynamic, path, _ONE_LOOP | _INDUCTOR if one_loop else _INDUCTOR)
            except Exception as error:
                log = path.with_suffix(".log")
                log.write_text(f"{name}\n\n{''.join(traceback.format_exception(error))}", encoding="utf-8")
                raise ConfigError(
                    f"the kernel {name.split()[0]!r} does not compile with this machine's torch and g++ ({log}); mend "
                    "them, or take --engine lenstronomy without --detectability, which needs neither"
                ) from error
    return load_package(path)


def _compile(
    module: nn.Module, example: tuple[Tensor, ...], dynamic: tuple[Any, ...], path: Path, config: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        fresh = str(Path(folder) / path.name)
        program = torch.export.export(module, example, dynamic_shapes=dynamic)
        torch._inductor.aoti_compile_and_package(program, package_path=fresh, inductor_configs=config | _libraries())
        os.replace(fresh, path)


def _libraries() -> dict[str, Any]:
    """What to link besides: without a shared libstdc++ a compiler builds its own copy in, and torch may crash."""
    name = "libstdc++.so"
    found = subprocess.run([str(compiler()), f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
    return {"aot_inductor.custom_op_libs": [f":{name}.6"]} if found == name else {}


@lru_cache
def _cache() -> Path:
    base = os.environ.get("LENSSIM_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lenssim"
    )
    path = Path(base) / "kernels"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _key(example: tuple[Tensor, ...], name: str, dynamic: tuple[Any, ...]) -> str:
    digest = hashlib.sha256(_sources())
    shapes = [f"{tuple(tensor.shape)} {tensor.dtype}" for tensor in example]
    facts = (name, torch.__version__, torch.backends.cpu.get_cpu_capability(), str(dynamic), *shapes)
    digest.update("\n".join(facts).encode())
    return digest.hexdigest()[:32]


@lru_cache
def _sources() -> bytes:
    here = Path(__file__).parent
    return b"".join(
        path.read_bytes()
        for path in [here / "rays.py", here / "adaptive.py", *sorted((here / "profiles").glob("*.py"))]
    )
