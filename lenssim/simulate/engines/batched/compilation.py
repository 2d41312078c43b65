"""Compilation of a module ahead of time, by torch and g++."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lenssim.simulate.engines.batched.calls import short_calls
from lenssim.simulate.engines.batched.inductor import (
    each_expression_once,
    forget_processor,
    trusted_processor,
)
from lenssim.simulate.engines.batched.packages import load_package
from lenssim.simulate.engines.batched.settings import compiler

__all__ = ["Axis", "compile_module"]


@dataclass(frozen=True)
class Axis:
    """A dimension of free length, always a multiple of `step`.

    It stands for torch.export.Dim, which takes half a second to import.
    """

    name: str
    step: int = 1

    def __repr__(
        self,
    ) -> str:  # as torch writes it: the names of kernels in the cache depend on it
        if self.step == 1:
            return f"Dim({self.name!r}, min=0)"
        return f"{self.step}*{self.name}"


def compile_module(
    module: nn.Module,
    example: tuple[Tensor, ...],
    dynamic: tuple[Any, ...],
    target: Path,
    config: dict[str, Any],
) -> None:
    """Write the archive of a module that is compiled ahead of time.

    Args:
        module: A pure function of tensors.
        example: Tensors with the shapes and types of the arguments.
        dynamic: Dimensions that may differ.
        target: Path of the archive.
        config: Options of torch's compiler.
    """
    try:
        with short_calls(), trusted_processor():
            _write(module, example, dynamic, target, config)
        load_package(target)
    except (
        Exception
    ):  # what torch writes, or g++ takes, has another form than is known here
        forget_processor()
        _write(module, example, dynamic, target, config)


def _write(
    module: nn.Module,
    example: tuple[Tensor, ...],
    dynamic: tuple[Any, ...],
    target: Path,
    config: dict[str, Any],
) -> None:
    program = torch.export.export(module, example, dynamic_shapes=_with_dims(dynamic, {}))
    with each_expression_once():
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(target),
            inductor_configs=config | _quick_wrapper() | _libraries(),
        )


def _with_dims(dynamic: Any, dims: dict[str, Any]) -> Any:
    """Return dynamic shapes with a Dim for each Axis; axes of the same name share one of `dims`."""
    if isinstance(dynamic, tuple):
        return tuple(_with_dims(item, dims) for item in dynamic)
    if isinstance(dynamic, dict):
        return {key: _with_dims(item, dims) for key, item in dynamic.items()}
    if not isinstance(dynamic, Axis):
        return dynamic
    if dynamic.name not in dims:
        dims[dynamic.name] = torch.export.Dim(dynamic.name)
    if dynamic.step == 1:
        return dims[dynamic.name]
    return dynamic.step * dims[dynamic.name]


def _quick_wrapper() -> dict[str, Any]:
    """Return options of what calls the loops: most of g++'s time goes there, and no bits.

    Precompiled headers take longer than they save on a handful of kernels.
    """
    options = {"compile_wrapper_opt_level": "O0", "precompile_headers": False}
    settings = torch._inductor.config.aot_inductor
    return {
        f"aot_inductor.{name}": value
        for name, value in options.items()
        if hasattr(settings, name)  # not in older releases
    }


def _libraries() -> dict[str, Any]:
    """Return further libraries to link.

    Without a shared libstdc++ a compiler builds its own copy in, and torch may crash.
    """
    name = "libstdc++.so"
    command = [str(compiler()), f"-print-file-name={name}"]
    path = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    if path != name:  # the compiler has found the library
        return {}
    return {"aot_inductor.custom_op_libs": [f":{name}.6"]}
