"""Where networks are computed, and in which arithmetic."""

import torch
from torch.backends.cpu import get_cpu_capability

from lenssim.errors import ConfigError, unknown

__all__ = ["arithmetic", "computes_bf16", "pick_device"]

_WITHOUT_BF16 = ("DEFAULT", "NO AVX", "AVX2")  # processors, as torch names what they can do


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU where there is one. `ConfigError` for one this machine has not."""
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    if name not in present:
        raise unknown("device", name, ["auto", *present])
    if not present[name]:
        raise ConfigError(
            f"this machine has no {name} device that torch can use; leave the device on auto"
        )
    return torch.device(name)


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16. One that imitates them is many times slower than in float32.

    Processors are told apart by what torch finds in them: all with AVX-512 are taken to have them.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type != "cpu" or get_cpu_capability() not in _WITHOUT_BF16


def arithmetic(precision: str, device: torch.device) -> str:
    """The precision a training on the device computes in: as asked for, but 32 for bf16 where that is imitated."""
    return "32" if precision == "bf16" and not computes_bf16(device) else precision
