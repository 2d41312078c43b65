"""What a training took and an answer takes: rate, waiting, memory, time."""

import time

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from lenssim.learn.nets.model import Model, image_outputs
from lenssim.machine import peak_resident_bytes, reset_peak_resident

__all__ = ["Cost", "inference_milliseconds", "peak_memory", "reset_peak_memory"]

_MIB = 2**20


class Cost(BaseModel):
    """Of one training, on the machine that ran it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    threads: int
    precision: str | None = None
    """Of the arithmetic: 32 where bf16 was asked for of a device that only imitates it."""
    images_per_second: float
    """Trained on, with the validations between."""
    waiting: float
    """Share of the time that steps waited for images."""
    peak_mib: float
    """Most memory: of the GPU, or of the whole process where the CPU computes."""
    inference_ms: float
    """An image, in batches of 256."""


def reset_peak_memory(device: torch.device) -> None:
    """Begin to watch the memory; where the system forbids it the process's whole life counts."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    reset_peak_resident()


def peak_memory(device: torch.device) -> float:
    """Most memory since `reset_peak_memory`, in MiB: allocated on a GPU, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MIB
    return peak_resident_bytes() / _MIB


def inference_milliseconds(model: Model, images: np.ndarray, device: torch.device) -> float:
    """Time an image takes, of images (N, C, H, W) in memory, after a first pass that does not count."""
    image_outputs(model, images, device)
    start = time.perf_counter()
    image_outputs(model, images, device)
    return 1000 * (time.perf_counter() - start) / len(images)
