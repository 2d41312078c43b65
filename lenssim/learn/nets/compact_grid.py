"""A small residual network for measurements: its last map is read whole, so that it knows where things are."""

from typing import override

import torch
from torch import Tensor, nn

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.compact import Block

__all__ = ["SMALLEST", "CompactGrid", "build"]

_WIDTHS = (32, 64, 96)  # at half the stamp's resolution, a quarter, an eighth
_GRID = 8  # cells a side of the map that is read
_CHANNELS = 16  # of that map
SMALLEST = 16  # pixels a side


class CompactGrid(nn.Sequential):
    """Strided convolutions and residual blocks at three resolutions; a map of 8 x 8 cells; two linear layers.

    Images (N, C, H, W) of any number of bands and any size from 16 pixels on, to (N, outputs). Means over the stamp, as
    other small networks take them, would forget where a lens is.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        before = channels
        for width in _WIDTHS:
            kernel = 5 if before == channels else 3
            layers += [
                nn.Conv2d(before, width, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                Block(width),
            ]
            before = width
        super().__init__(
            *layers,
            nn.AdaptiveAvgPool2d(_GRID),
            nn.Conv2d(before, _CHANNELS, 1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(_CHANNELS * _GRID**2, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, outputs),
        )
        self.to(memory_format=torch.channels_last)

    @override
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.contiguous(memory_format=torch.channels_last))


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Any number of channels."""
    return CompactGrid(images.shape[0], outputs)
