"""A small residual network for substructure, which reads features at the scale of pixels."""

from typing import override

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["SMALLEST", "Block", "Compact", "build"]

_WIDTHS = (24, 32, 64, 96)  # at the stamp's resolution, half, a quarter, an eighth
_BLOCKS = (0, 1, 1, 1)
SMALLEST = 2 ** (len(_WIDTHS) - 1)  # pixels a side


def _convolution(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]


class Block(nn.Module):
    """A residual block of two convolutions (He et al. 2016).

    The second starts at zero, so that the network begins shallow.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(width, width), nn.ReLU(inplace=True), *_convolution(width, width)
        )
        norm = self.layers[-1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.zeros_(norm.weight)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.layers(x))


class Compact(nn.Module):
    """Convolutions at four resolutions; mean and maximum over the stamp at each of them; linear.

    It maps images (N, C, H, W), with any number of bands and at least 8 pixels a side, to (N,
    outputs).
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for width, blocks in zip(_WIDTHS, _BLOCKS, strict=True):
            pool = [nn.MaxPool2d(2)] if stages else []
            stages.append(
                nn.Sequential(
                    *pool,
                    *_convolution(channels, width),
                    nn.ReLU(inplace=True),
                    *(Block(width) for _ in range(blocks)),
                )
            )
            channels = width
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(2 * sum(_WIDTHS), outputs)
        self.to(memory_format=torch.channels_last)

    @override
    def forward(self, images: Tensor) -> Tensor:
        features = images.contiguous(memory_format=torch.channels_last)
        pooled = []
        for stage in self.stages:
            features = stage(features)
            pooled.append(adaptive_avg_pool2d(features, 1))
            pooled.append(adaptive_max_pool2d(features, 1))  # amax takes longer backwards
        return self.head(torch.cat(pooled, dim=1).flatten(1))


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build the network.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    return Compact(images.shape[0], outputs)
