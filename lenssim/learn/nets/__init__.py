"""Networks, one a file: a new one is a module with `build(images, outputs)` and its line in `NETS`.

A module may say of how many pixels a side `SMALLEST` is the least stamp that its nets take.
"""

from importlib import import_module

import torch
from torch import nn

from lenssim.errors import ConfigError, unknown
from lenssim.learn.inputs.description import ImageDescription

__all__ = ["NETS", "build_net", "check_net", "parameter_count"]

NETS = {  # name: its module, and what else `build` is told where the module builds a family
    "cnn": "cnn",
    "compact": "compact",
    "compact_grid": "compact_grid",
    "deeplense_cnn": "deeplense_cnn",
    "alexnet": "alexnet",
    "resnet18": "timm:resnet18",
    "resnet34": "timm:resnet34",
    "xresnet18": "xresnet",
    "efficientnet_b0": "timm:efficientnet_b0",
    "swin": "timm:swin_tiny_patch4_window7_224",
    "vit": "vit",
    "cvt": "cvt",
    "lensformer": "lensformer",
    "equivariant_c4": "equivariant:C4",
    "equivariant_d4": "equivariant:D4",
    "equivariant_c8": "equivariant:C8",
}
_OPEN = "timm:"  # a family whose every member is a net


def check_net(name: str) -> None:
    """`ConfigError` with a suggestion for a name that is neither in `NETS` nor `timm:` and a model of timm's."""
    if name.startswith(_OPEN):
        import_module(f"{__name__}.timm").check(name.removeprefix(_OPEN))
    elif name not in NETS:
        raise unknown("net", name, [*NETS, f"{_OPEN}NAME"])


def build_net(name: str, images: ImageDescription, outputs: int, seed: int = 0) -> nn.Module:
    """A fresh network from images (N, C, H, W) to (N, outputs), its weights drawn from `seed` alone.

    `ConfigError` for an unknown name, or images the net cannot take.
    """
    check_net(name)
    module, _, member = NETS.get(name, name).partition(":")
    nets = import_module(f"{__name__}.{module}")
    smallest, (_, height, width) = getattr(nets, "SMALLEST", 1), images.shape
    if min(height, width) < smallest:
        raise ConfigError(
            f"the net {name} takes stamps of {smallest} pixels and more, got {height} x {width}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nets.build(images, outputs, *filter(None, [member]))


def parameter_count(net: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(
        parameter.numel() for parameter in net.parameters() if parameter.requires_grad
    )
