"""The quickstart's network: a plain batch-norm CNN of three blocks, small enough for two CPU cores."""

from itertools import pairwise
from typing import override

import torch
from torch import Tensor, nn

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["CNN", "SMALLEST", "build"]

_WIDTHS = (16, 32, 96)
_CONVOLUTIONS = (1, 2, 2)
SMALLEST = 2 ** (len(_WIDTHS) + 1)  # pixels a side


class _MeanAndMaximum(nn.Module):
    """Features (N, C, H, W) to their means and maxima over the stamp, (N, 2 C)."""

    @override
    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)


class CNN(nn.Sequential):
    """Three blocks of 3 x 3 convolutions, batch norm, ReLU and 2 x 2 max pooling; mean and maximum; linear.

    Images (N, C, H, W) of any number of bands and any size from 16 pixels on, to (N, outputs).
    """

    def __init__(self, channels: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for (before, width), convolutions in zip(
            pairwise((channels, *_WIDTHS)), _CONVOLUTIONS, strict=True
        ):
            for k in range(convolutions):
                layers += [
                    nn.Conv2d(width if k else before, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers, _MeanAndMaximum(), nn.Linear(2 * _WIDTHS[-1], outputs))
        self.to(memory_format=torch.channels_last)  # a third faster on CPUs

    @override
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.contiguous(memory_format=torch.channels_last))


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Any number of channels."""
    return CNN(images.shape[0], outputs)
