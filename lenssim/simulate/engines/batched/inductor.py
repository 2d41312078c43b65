"""torch's compiler, told to keep what it loads again where nobody else can plant programs."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lenssim.cache import private_compilers

__all__ = [
    "each_expression_once",
    "forget_processor",
    "private_inductor",
    "trusted_processor",
]


def private_inductor() -> None:
    """Move every cache of torch's compiler out of `/tmp/torchinductor_<user>`, a name that anybody can take first.

    `TORCHINDUCTOR_CACHE_DIR` alone leaves precompiled headers and pickled results there.

    Raises:
        SurroundingsError: No folder takes temporary files.
    """
    private_compilers()
    folder = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    import torch._inductor.codecache as codecache
    from torch._inductor.runtime import cache_dir_utils

    before = cache_dir_utils.default_cache_dir
    if getattr(before, "folder", None) == folder:
        return

    def private_folder() -> str:
        return folder

    private_folder.folder = folder  # type: ignore[attr-defined]
    for name, module in list(sys.modules.items()):
        if name.startswith("torch.") and vars(module).get("default_cache_dir") is before:
            module.default_cache_dir = private_folder  # type: ignore[attr-defined]
    if hasattr(codecache, "_HEADER_DIR"):
        headers = Path(folder) / "precompiled_headers"
        codecache._HEADER_DIR = str(headers)
        codecache._HEADER_LOCK_DIR = str(headers / "locks")


@contextmanager
def trusted_processor() -> Iterator[None]:
    """Let the compiler believe what the processor says of its vector instructions.

    Else it compiles six small programs to see whether they work, which takes g++ eight seconds.
    A kernel that is compiled and loaded shows it too.
    """
    from torch._inductor.cpu_vec_isa import VecISA

    check_build = VecISA.check_build
    VecISA.check_build = lambda self, code: True  # type: ignore[method-assign]
    try:
        yield
    finally:
        VecISA.check_build = check_build  # type: ignore[method-assign]


def forget_processor() -> None:
    """Let the compiler find out anew which vector instructions work."""
    cpu_vec_isa = sys.modules.get("torch._inductor.cpu_vec_isa")
    if cpu_vec_isa is None:  # another release of torch
        return
    kinds = [kind for kind in vars(cpu_vec_isa).values() if isinstance(kind, type)]
    for owner in (cpu_vec_isa, *kinds):
        for function in vars(owner).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


@contextmanager
def each_expression_once() -> Iterator[None]:
    """Let the compiler visit an expression once, however often a formula uses it.

    It inlines every intermediate result into those that use it, and visits the inlined
    expression again for each use: a minute for the formula of a truncated halo. What it
    writes for g++ is the same to the letter.
    """
    from torch._inductor.ir import Pointwise

    make_loader = Pointwise.make_loader
    Pointwise.make_loader = lambda self: _remembering(make_loader(self))  # type: ignore[method-assign]
    try:
        yield
    finally:
        Pointwise.make_loader = make_loader  # type: ignore[method-assign]


def _remembering(inner: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    """Return `inner` with memory of its results, for as long as the same handler takes operations."""
    from torch._inductor.virtualized import V

    results: dict[tuple[Any, ...], Any] = {}
    last_handler: Any = None

    def loader(index: Sequence[Any]) -> Any:
        nonlocal last_handler
        handler = V.get_ops_handler()
        if handler is not last_handler:
            results.clear()
            last_handler = handler
        key = tuple(index)
        if key not in results:
            results[key] = inner(index)
        return results[key]

    return loader
