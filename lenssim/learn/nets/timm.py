"""Standard backbones as timm builds them, from scratch: no weights are downloaded.

ResNet (He et al. 2016), EfficientNet (Tan & Le 2019), Swin (Liu et al. 2021) and all others that
timm knows.
"""

from typing import Any

import timm
import torch
from torch import nn

from lenssim.errors import ConfigError, unknown
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.padding import padded

__all__ = ["build", "check"]

_GRID = 32  # pixels: a multiple of the patches and windows of most transformers


def check(name: str) -> None:
    """Check that timm has a model.

    Args:
        name: The name of the model.

    Raises:
        ConfigError: There is no such model. The message suggests the nearest names.
    """
    if timm.is_model(name):
        return
    matches = timm.list_models(f"*{name}*")
    if matches:
        raise unknown("model of timm", name, matches[:12], code="unknown-net")
    message = str(unknown("model of timm", name, timm.list_models()))
    beginning = message.split("known are")[0].rstrip()
    raise ConfigError(f"{beginning} timm.list_models() lists them all", code="unknown-net")


def build(images: ImageDescription, outputs: int, name: str) -> nn.Module:
    """Build a model of timm for images of any number of channels.

    Models that are built for one size are built for these stamps, zero-padded to a multiple of 32
    pixels.

    Args:
        images: The images.
        outputs: Number of outputs.
        name: Name of the model.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).

    Raises:
        ConfigError: The model has no classifier or cannot take the stamps. The message quotes timm.
    """
    _, height, width = images.shape
    try:
        net = _model(images.shape, outputs, name)
        with torch.inference_mode():
            shape = tuple(net.eval()(torch.zeros(2, *images.shape)).shape)
    except Exception as error:  # timm's models raise many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"the net timm:{name} cannot take stamps of {height} x {width} pixels: {reason}",
            code="net-stamp",
            name=name,
            height=height,
        ) from None
    if shape != (2, outputs):
        raise ConfigError(
            f"timm:{name} is no classifier: it gives {shape[1:]} numbers an image, "
            f"not {outputs}",
            code="net-outputs",
            name=name,
            outputs=outputs,
        )
    if any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()):
        # convolutions are up to twice as fast on CPUs, transformers slower
        net.to(memory_format=torch.channels_last)
    return net.train()


def _model(shape: tuple[int, int, int], outputs: int, name: str) -> nn.Module:
    """Build a model that fits images of a shape (C, H, W)."""
    options: dict[str, Any] = {
        "pretrained": False,
        "in_chans": shape[0],
        "num_classes": outputs,
    }
    pretrained = timm.get_pretrained_cfg(name)
    if pretrained is None or not pretrained.fixed_input_size:
        return timm.create_model(name, **options)

    def sized(size: tuple[int, int]) -> nn.Module:
        return timm.create_model(name, img_size=size, **options)

    return padded(shape, _GRID, sized)
