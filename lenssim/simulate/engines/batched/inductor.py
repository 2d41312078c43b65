"""torch's compiler, told to keep what it loads again where nobody else can plant programs."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lenssim.cache import private_compilers

__all__ = ["each_expression_once", "forget_processor", "private_inductor"]


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


def forget_processor() -> None:
    """Let the compiler find out anew which vector instructions this machine has."""
    from torch._inductor import cpu_vec_isa

    functions: list[Any] = [cpu_vec_isa.valid_vec_isa_list]
    functions += [
        vars(kind).get("__bool__")
        for kind in vars(cpu_vec_isa).values()
        if isinstance(kind, type)
    ]
    for function in functions:
        with suppress(AttributeError):  # it remembers nothing
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
