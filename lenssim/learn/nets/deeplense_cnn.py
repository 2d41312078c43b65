"""The plain CNN of the DeepLense Model III benchmark: 509,955 parameters for stamps of 64 x 64 and three classes."""

import torch
from torch import nn

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["SMALLEST", "build"]

SMALLEST = 5  # pixels a side
_WIDTH = 128


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Four convolutions, two poolings, three linear layers; the first of these is as large as the stamp makes it."""
    channels, *sides = images.shape
    rows, columns = map(_remaining, sides)
    net = nn.Sequential(
        nn.Conv2d(channels, 32, 7, stride=2, padding=3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 7, stride=2, padding=3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=2),
        nn.ReLU(),
        nn.Conv2d(64, _WIDTH, 3, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(_WIDTH * rows * columns, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(32, outputs),
    )
    return net.to(memory_format=torch.channels_last)  # faster on CPUs


def _remaining(side: int) -> int:
    """Pixels a side after the convolutions: two strides, a pooling, two paddings by 2, a pooling."""
    halved = -(-side // 2)
    return (-(-halved // 2) // 2 + 4) // 2
