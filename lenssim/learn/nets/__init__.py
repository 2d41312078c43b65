"""Networks, one a file: a new one is a module with `build(images, outputs)` and its line in `NETS`.

A module may set `SMALLEST`, the pixels a side of the smallest stamp that its nets accept.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lenssim.errors import ConfigError, unknown

if TYPE_CHECKING:
    from torch import nn

    from lenssim.learn.inputs.description import ImageDescription

__all__ = ["IMAGE_NETS", "NETS", "build_net", "check_net", "parameter_count"]

NETS = {  # name: its module, and the third argument of `build` where the module builds a family
    "cnn": "cnn",
    "compact": "compact",
    "compact_grid": "compact_grid",
    "compact_grid_half": "compact_grid:halved",
    "deeplense_cnn": "deeplense_cnn",
    "alexnet": "alexnet",
    "resnet18": "timm:resnet18",
    "resnet34": "timm:resnet34",
    "xresnet18": "xresnet",
    "efficientnet_b0": "timm:efficientnet_b0",
    "efficientnet_lite0": "timm:tf_efficientnet_lite0",
    "swin": "timm:swin_tiny_patch4_window7_224",
    "vit": "vit",
    "cvt": "cvt",
    "lensformer": "lensformer",
    "finder": "finder",
    "graph": "graph",
    "lastro_baseline": "lastro:baseline",
    "lastro_views": "lastro:views",
    "lastro_residual": "lastro:residual",
    "lastro_invariant": "lastro:invariant",
    "cmu_deeplens": "cmu_deeplens",
    "unet": "unet",
    "equivariant_c4": "equivariant:C4",
    "equivariant_d4": "equivariant:D4",
    "equivariant_c8": "equivariant:C8",
}
IMAGE_NETS = ("unet",)
"""Nets from images to images, which give the numbers of an image."""
_TIMM_PREFIX = "timm:"  # every model of timm is a net


def check_net(name: str) -> None:
    """Check that a net exists.

    Args:
        name: A name in `NETS`, or `timm:` and the name of a model of timm.

    Raises:
        ConfigError: There is no such net. The message suggests the nearest name.
    """
    if name.startswith(_TIMM_PREFIX):
        import_module(f"{__name__}.timm").check(name.removeprefix(_TIMM_PREFIX))
    elif name not in NETS:
        raise unknown("net", name, [*NETS, f"{_TIMM_PREFIX}NAME"], code="unknown-net")


def build_net(
    name: str, images: ImageDescription, outputs: int, seed: int = 0
) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: Name of the net, as in `check_net`.
        images: The images.
        outputs: Number of outputs.
        seed: Seed that the weights depend on alone.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).

    Raises:
        ConfigError: The name is unknown, or the net cannot take the images.

    Example:
        >>> from lenssim.learn.inputs.description import ImageDescription
        >>> parameter_count(build_net("cnn", ImageDescription((1, 64, 64)), outputs=3))
        125683
    """
    import torch  # here, so that a name is checked at once

    check_net(name)
    module, _, member = NETS.get(name, name).partition(":")
    nets = import_module(f"{__name__}.{module}")
    _, height, width = images.shape
    smallest = getattr(nets, "SMALLEST", 1)
    if min(height, width) < smallest:
        raise ConfigError(
            f"the net {name} takes stamps of {smallest} pixels and more, "
            f"got {height} x {width}",
            code="net-stamp",
            name=name,
            smallest=smallest,
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nets.build(images, outputs, *filter(None, [member]))


def parameter_count(net: nn.Module) -> int:
    """Return the number of trained parameters of a network."""
    return sum(
        parameter.numel() for parameter in net.parameters() if parameter.requires_grad
    )
