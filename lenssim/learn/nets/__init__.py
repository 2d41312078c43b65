"""Networks, one a file: a new one is a module with `build(image_shape, outputs)` and its name in `NETS`."""

from importlib import import_module

import torch
from torch import nn

from lenssim.errors import unknown

__all__ = ["NETS", "build_net", "parameter_count"]

NETS = ("cnn", "resnet18")


def build_net(name: str, image_shape: tuple[int, int, int], outputs: int, seed: int = 0) -> nn.Module:
    """A fresh network from images (N, C, H, W) to (N, outputs), its weights drawn from `seed` alone.

    `ConfigError` for an unknown name, or images the net cannot take.
    """
    if name not in NETS:
        raise unknown("net", name, NETS)
    module = import_module(f"{__name__}.{name}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return module.build(image_shape, outputs)


def parameter_count(net: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
