"""Settings of the batched engine that bits depend on, found out without importing torch."""

import os
import shutil
from functools import lru_cache
from typing import Any

from lenssim.errors import ConfigError

__all__ = ["DEVICES", "PRECISIONS", "batched_settings", "compiler"]

PRECISIONS = ("float32", "float64")
DEVICES = ("cpu", "cuda", "auto")


@lru_cache
def compiler() -> str | None:
    """Path of the C++ compiler that torch would use, None without one."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")


def batched_settings(
    precision: str | None = None, device: str | None = None
) -> dict[str, Any]:
    """Arguments of the batched engine: float32 unless told otherwise, compiled kernels where there is a compiler.

    `device` auto means CUDA where there is one. `LENSSIM_KERNELS=eager` does without compiled kernels. `ConfigError`
    for a value that does not exist, or a CUDA device that is absent.
    """
    precision = precision or "float32"
    device = device or "cpu"
    if precision not in PRECISIONS:
        raise ConfigError(
            f"the precision must be one of {', '.join(PRECISIONS)}; got {precision!r}"
        )
    if device not in DEVICES:
        raise ConfigError(f"the device must be one of {', '.join(DEVICES)}; got {device!r}")
    if device != "cpu":
        device = _cuda_or_cpu(device)
    eager = os.environ.get("LENSSIM_KERNELS") == "eager" or compiler() is None
    return {
        "precision": precision,
        "device": device,
        "kernels": "eager" if eager else "compiled",
    }


def _cuda_or_cpu(device: str) -> str:
    present = os.path.exists("/dev/nvidiactl")  # spares most machines the import of torch
    if present:
        import torch

        present = torch.cuda.is_available()
    if not present and device == "cuda":
        raise ConfigError("no CUDA device is available here; use --device cpu or auto")
    return "cuda" if present else "cpu"
