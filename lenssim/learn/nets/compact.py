"""A small residual network for substructure: small perturbers show at the scale of pixels, and are read there."""

from typing import override

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["SMALLEST", "Block", "Compact", "build"]

_WIDTHS = (24, 32, 64, 96)  # at the stamp's resolution, half, a quarter, an eighth
_BLOCKS = (0, 1, 1, 1)
SMALLEST = 2 ** (len(_WIDTHS) - 1)  # pixels a side


def _convolution(before: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]


class Block(nn.Module):
    """x + two convolutions of x (He et al. 2016); the second starts at zero, so that the net begins shallow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(width, width), nn.ReLU(inplace=True), *_convolution(width, width)
        )
        nn.init.zeros_(self.layers[-1].weight)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.layers(x))


class Compact(nn.Module):
    """Convolutions at four resolutions; mean and maximum over the stamp at each of them; linear.

    Images (N, C, H, W) of any number of bands and any size from 8 pixels on, to (N, outputs).
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        stages = []
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
        features, seen = images.contiguous(memory_format=torch.channels_last), []
        for stage in self.stages:
            features = stage(features)
            seen += [
                adaptive_avg_pool2d(features, 1),
                adaptive_max_pool2d(features, 1),
            ]  # amax takes longer backwards
        return self.head(torch.cat(seen, dim=1).flatten(1))


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Any number of channels."""
    return Compact(images.shape[0], outputs)
