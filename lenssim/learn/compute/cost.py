"""The cost of a training and of an answer: rate, waiting, memory, time."""

import time

import numpy as np
import torch

from lenssim.learn.nets.model import Model, image_outputs
from lenssim.machine import peak_resident_bytes, reset_peak_resident
from lenssim.record import Record

__all__ = ["Cost", "inference_milliseconds", "peak_memory", "reset_peak_memory"]

_MIB = 2**20


class Cost(Record):
    """The cost of one training on its machine.

    Attributes:
        device: The device.
        threads: Number of threads.
        precision: Precision of the arithmetic: 32 where bf16 was requested on a device that only
        imitates it.
        images_per_second: Training images a second, with the validations between.
        waiting: Share of the time that steps waited for images.
        peak_mib: Peak memory: of the GPU, or of the whole process where the CPU computes.
        inference_ms: Milliseconds an image, in batches of 256.
    """

    device: str
    threads: int
    precision: str | None = None
    images_per_second: float
    waiting: float
    peak_mib: float
    inference_ms: float


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak memory of a device, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    reset_peak_resident()


def peak_memory(device: torch.device) -> float:
    """Return the peak memory since `reset_peak_memory`.

    Args:
        device: The device.

    Returns:
        MiB allocated on a GPU, or resident in this process for any other device.

    Example:
        >>> peak_memory(torch.device("cpu")) > 1
        True
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MIB
    return peak_resident_bytes() / _MIB


def inference_milliseconds(model: Model, images: np.ndarray, device: torch.device) -> float:
    """Measure the time of an answer, after a first pass that does not count.

    Args:
        model: The model.
        images: Images (N, C, H, W) in memory.
        device: Where to compute.

    Returns:
        Milliseconds an image.
    """
    image_outputs(model, images, device)
    start = time.perf_counter()
    image_outputs(model, images, device)
    return 1000 * (time.perf_counter() - start) / len(images)
