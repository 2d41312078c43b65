"""ResNet-18 (He et al. 2016) as timm builds it, from scratch: no weights are downloaded."""

import timm
from torch import nn

__all__ = ["build"]


def build(image_shape: tuple[int, int, int], outputs: int) -> nn.Module:
    """Any number of channels and any stamp size."""
    return timm.create_model("resnet18", pretrained=False, in_chans=image_shape[0], num_classes=outputs)
