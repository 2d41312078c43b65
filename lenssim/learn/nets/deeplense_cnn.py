"""The plain CNN of the DeepLense Model III benchmark.

It has 509,955 parameters for 64 x 64 stamps and three classes.
"""

import torch
from torch import nn

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["SMALLEST", "build"]

SMALLEST = 5  # pixels a side
_WIDTH = 128


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build four convolutions, two poolings and three linear layers.

    The size of the first linear layer follows from the stamp.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
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
    """Return the pixels a side after two strides, a pooling, two paddings by 2 and a pooling."""
    halved = -(-side // 2)
    return (-(-halved // 2) // 2 + 4) // 2
