"""Settings of the batched engine that its bits depend on, without importing torch."""

from pathlib import Path
from typing import Any

from lenssim.errors import ConfigError
from lenssim.simulate.native import compiler, is_eager

__all__ = [
    "DEVICES",
    "FAR_FIELDS",
    "FAR_HALOES",
    "FAR_SERIES",
    "FAR_SOLITONS",
    "PRECISIONS",
    "batched_settings",
    "compiler",
    "cuda_or_cpu",
    "with_far_field",
]

PRECISIONS = ("float32", "float64")
FAR_HALOES = "haloes"  # far fields of data sets that name none
FAR_SOLITONS = "solitons"
FAR_SERIES = "series"
FAR_FIELDS = (FAR_HALOES, FAR_SOLITONS, FAR_SERIES)
_KINDS = {FAR_SOLITONS: {"uldm"}, FAR_SERIES: {"tnfw", "uldm"}}  # whose bits each changes
DEVICES = ("cpu", "cuda", "auto")


def batched_settings(
    precision: str | None = None, device: str | None = None
) -> dict[str, Any]:
    """Return the arguments of the batched engine.

    `LENSSIM_KERNELS=eager` does without compiled kernels, as does a machine without a
    compiler.

    Args:
        precision: "float32", the default, or "float64".
        device: "cpu", the default, "cuda", or "auto" for CUDA where there is one.

    Raises:
        ConfigError: A value does not exist, or there is no CUDA device.

    Example:
        >>> batched_settings()["precision"]
        'float32'
    """
    precision = precision or "float32"
    device = device or "cpu"
    if precision not in PRECISIONS:
        raise ConfigError(
            f"the precision must be one of {', '.join(PRECISIONS)}; got {precision!r}",
            code="engine-options",
            precision=precision,
        )
    if device not in DEVICES:
        raise ConfigError(
            f"the device must be one of {', '.join(DEVICES)}; got {device!r}",
            code="engine-options",
            device=device,
        )
    if device != "cpu":
        device = cuda_or_cpu(device)
    kernels = "compiled"
    if is_eager():
        kernels = "eager"
    return {"precision": precision, "device": device, "kernels": kernels}


def with_far_field(
    settings: dict[str, Any], kinds: set[str], name: str | None = None
) -> dict[str, Any]:
    """Return settings that name the far field, if images depend on it.

    Args:
        settings: What `batched_settings` returned.
        kinds: The kinds of perturbers of the data set.
        name: The far field; None for the newest.

    Example:
        >>> with_far_field({"precision": "float32"}, {"uldm"})
        {'precision': 'float32', 'far_field': 'series'}
    """
    name = name or FAR_SERIES
    if settings["precision"] != "float32" or not kinds & _KINDS.get(name, set()):
        return settings
    return settings | {"far_field": name}


def cuda_or_cpu(device: str) -> str:
    """Return the device that auto means here, and refuse a card that is not there.

    Args:
        device: "auto" or "cuda".

    Raises:
        ConfigError: A card is asked for, and there is none.

    Example:
        >>> cuda_or_cpu("auto") in ("cuda", "cpu")
        True
    """
    present = Path("/dev/nvidiactl").exists()  # spares most machines the import of torch
    if present:
        import torch

        present = torch.cuda.is_available()
    if not present and device == "cuda":
        raise ConfigError(
            "no CUDA device is available here; use --device cpu",
            code="no-device",
            name="cuda",
        )
    if present:
        return "cuda"
    return "cpu"
