"""A small residual network for measurements, which keeps the positions of its last map."""

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
    """Residual blocks at three resolutions; a map of 8 x 8 cells; two linear layers.

    It maps images (N, C, H, W), with any number of bands and at least 16 pixels a side, to (N,
    outputs). Means over the stamp, as other small networks take them, would lose the position of a
    lens.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        features = channels
        for width in _WIDTHS:
            kernel = 5 if features == channels else 3
            layers += [
                nn.Conv2d(
                    features, width, kernel, stride=2, padding=kernel // 2, bias=False
                ),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                Block(width),
            ]
            features = width
        super().__init__(
            *layers,
            nn.AdaptiveAvgPool2d(_GRID),
            nn.Conv2d(features, _CHANNELS, 1),
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


def build(images: ImageDescription, outputs: int, pixels: str = "all") -> nn.Module:
    """Build the network.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.
        pixels: `halved` averages the pixels two by two first, which is four times as fast.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    network = CompactGrid(images.shape[0], outputs)
    if pixels == "halved":
        network.insert(0, nn.AvgPool2d(2))
    return network
