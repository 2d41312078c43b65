"""Standard backbones as timm builds them, from scratch: no weights are downloaded.

ResNet (He et al. 2016), EfficientNet (Tan & Le 2019), Swin (Liu et al. 2021) and all others that timm knows.
"""

import timm
import torch
from torch import nn

from lenssim.errors import ConfigError, unknown
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.padding import padded

__all__ = ["build", "check"]

_GRID = 32  # pixels: what patches and windows of most transformers divide


def check(name: str) -> None:
    """`ConfigError` with the nearest names for one that timm has no model of."""
    if not timm.is_model(name):
        near = timm.list_models(f"*{name}*")
        raise unknown("model of timm", name, near[:12]) if near else _far(name)


def _far(name: str) -> Exception:
    message = (
        str(unknown("model of timm", name, timm.list_models()))
        .split("known are")[0]
        .rstrip()
    )
    return ConfigError(f"{message} timm.list_models() lists them all")


def build(images: ImageDescription, outputs: int, name: str) -> nn.Module:
    """timm's model of that name for images of any number of channels.

    Models that are built for one size are built for these stamps, zero-padded to a multiple of 32 pixels.
    `ConfigError` with timm's own words if the model has no classifier or cannot take the stamps.
    """
    channels, height, width = images.shape
    options = {"pretrained": False, "in_chans": channels, "num_classes": outputs}
    sized = timm.get_pretrained_cfg(name).fixed_input_size
    try:
        if sized:
            net = padded(
                images.shape,
                _GRID,
                lambda size: timm.create_model(name, img_size=size, **options),
            )
        else:
            net = timm.create_model(name, **options)
        with torch.inference_mode():
            shape = tuple(net.eval()(torch.zeros(2, *images.shape)).shape)
    except Exception as error:  # timm's models raise what they like
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"the net timm:{name} cannot take stamps of {height} x {width} pixels: {reason}"
        ) from None
    if shape != (2, outputs):
        raise ConfigError(
            f"timm:{name} is no classifier: it gives {shape[1:]} numbers an image, not {outputs}"
        )
    if any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()):
        net.to(
            memory_format=torch.channels_last
        )  # convolutions: up to twice as fast on CPUs, transformers slower
    return net.train()
