"""The device that networks are computed on, and its arithmetic."""

import torch
from torch.backends.cpu import get_cpu_capability

from lenssim.errors import ConfigError, unknown

__all__ = ["arithmetic", "computes_bf16", "pick_device"]

_WITHOUT_BF16 = ("DEFAULT", "NO AVX", "AVX2")  # processors, as torch names what they can do


def pick_device(name: str) -> torch.device:
    """Return the device of that name.

    Args:
        name: `cuda`, `mps`, `cpu`, or `auto` for the first of these that the machine has.

    Returns:
        The device.

    Raises:
        ConfigError: The name is unknown, or the machine has no such device.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(
            next(kind for kind, is_present in present.items() if is_present)
        )
    if name not in present:
        raise unknown("device", name, ["auto", *present], code="unknown-device")
    if not present[name]:
        raise ConfigError(
            f"this machine has no {name} device that torch can use; "
            "leave the device on auto",
            code="no-device",
            name=name,
        )
    return torch.device(name)


def computes_bf16(device: torch.device) -> bool:
    """Tell whether a device has instructions for bf16.

    A device that imitates them is many times slower than in float32. All processors with AVX-512
    are taken to have them.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type != "cpu" or get_cpu_capability() not in _WITHOUT_BF16


def arithmetic(precision: str, device: torch.device) -> str:
    """Return the precision of a training on a device.

    Args:
        precision: The requested precision.
        device: The device.

    Returns:
        The requested precision, but 32 for bf16 where the device would imitate it.

    Example:
        >>> arithmetic("32", torch.device("cpu"))
        '32'
    """
    if precision == "bf16" and not computes_bf16(device):
        return "32"
    return precision
