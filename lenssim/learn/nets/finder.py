"""A small network for finding lenses in stamps of about a hundred pixels, at half their resolution.

Besides the image it sees two channels that turn and mirror with it: what remains of the image when
itself, turned by half a turn, is taken away, in which lens galaxies fade and arcs stay; and the
distance from the centre.
"""

from typing import override

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.compact import Block

__all__ = ["SMALLEST", "Finder", "build"]

_WIDTHS = (
    24,
    48,
    96,
    128,
)  # at half the stamp's resolution, a quarter, an eighth, a sixteenth
SMALLEST = 2 ** len(_WIDTHS)  # pixels a side


class Finder(nn.Module):
    """Residual blocks at four resolutions; mean and maximum over the stamp at each; linear.

    It maps images (N, C, H, W), with any number of bands and at least 16 pixels a side, to (N,
    outputs).
    """

    def __init__(self, bands: int, outputs: int) -> None:
        super().__init__()
        channels = 2 * bands + 1
        stages: list[nn.Module] = []
        for width in _WIDTHS:
            kernel = 3 if stages else 5
            halved = nn.Conv2d(
                channels, width, kernel, stride=2, padding=kernel // 2, bias=False
            )
            norm = nn.BatchNorm2d(width)
            stages.append(nn.Sequential(halved, norm, nn.ReLU(inplace=True), Block(width)))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(2 * sum(_WIDTHS), outputs)
        self.to(memory_format=torch.channels_last)

    @override
    def forward(self, images: Tensor) -> Tensor:
        features = _with_symmetry(images)
        features = features.contiguous(memory_format=torch.channels_last)
        pooled = []
        for stage in self.stages:
            features = stage(features)
            pooled.append(adaptive_avg_pool2d(features, 1))
            pooled.append(adaptive_max_pool2d(features, 1))
        return self.head(torch.cat(pooled, dim=1).flatten(1))


def _with_symmetry(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) with their asymmetry and the distance from the centre."""
    height, width = images.shape[-2:]
    y = torch.linspace(-1, 1, height, device=images.device, dtype=images.dtype)
    x = torch.linspace(-1, 1, width, device=images.device, dtype=images.dtype)
    radius = torch.hypot(y[:, None], x).expand(len(images), 1, height, width)
    return torch.cat([images, images - images.flip((-1, -2)), radius], dim=1)


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build the network.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    return Finder(images.shape[0], outputs)
