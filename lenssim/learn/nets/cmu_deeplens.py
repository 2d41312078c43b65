"""CMU DeepLens: the residual network of Lanusse et al. (2018), arXiv 1703.02642.

Units have the pre-activation of He et al. (2016), with a batch norm and an ELU before each
convolution. Five stages have three units each; all but the first halve the resolution.
"""

from typing import override

from torch import Tensor, nn

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["CMUDeepLens", "build"]

_STEM = 32
_STAGES = ((16, 32), (32, 64), (64, 128), (128, 256), (256, 512))  # inner and outer widths
_UNITS = 3


def _activation(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ELU())


class _Unit(nn.Module):
    """A bottleneck of three convolutions beside a shortcut."""

    def __init__(
        self, channels: int, inner: int, width: int, stride: int, active: bool
    ) -> None:
        super().__init__()
        self.before = nn.Sequential() if active else _activation(channels)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, inner, 1, stride=stride, bias=False),
            _activation(inner),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            _activation(inner),
            nn.Conv2d(inner, width, 1),
        )
        self.shortcut: nn.Conv2d | None = None
        if stride > 1 or channels != width:
            self.shortcut = nn.Conv2d(channels, width, 1, stride=stride)

    @override
    def forward(self, x: Tensor) -> Tensor:
        active = self.before(x)
        shortcut = x
        if self.shortcut is not None:
            shortcut = self.shortcut(active)
        return shortcut + self.layers(active)


class CMUDeepLens(nn.Sequential):
    """A stem, fifteen residual units, the mean over the stamp and a linear layer.

    It maps images (N, C, H, W), with any number of bands, to (N, outputs).
    """

    def __init__(self, bands: int, outputs: int) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(bands, _STEM, 7, padding=3, bias=False),
            nn.BatchNorm2d(_STEM),
            nn.ELU(),
        ]
        channels = _STEM
        for stage, (inner, width) in enumerate(_STAGES):
            for unit in range(_UNITS):
                stride = 2 if stage and not unit else 1
                active = not stage and not unit  # the stem has its own norm
                layers.append(_Unit(channels, inner, width, stride, active))
                channels = width
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs)
        )


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build the network.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    return CMUDeepLens(images.shape[0], outputs)
