"""AlexNet (Krizhevsky et al. 2012) for small stamps, with batch norm.

It is the covariance network of Wagner-Carena et al. (2021, arXiv:2010.13787) for lens parameters,
after Sorscher & Wagner-Carena. Their dropout before every layer is the setting `--dropout 0.03`.
"""

from torch import nn

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["SMALLEST", "build"]

_CONVOLUTIONS = (  # width, kernel, stride, pooling
    (64, 5, 2, True),
    (192, 5, 1, True),
    (384, 3, 1, False),
    (384, 3, 1, False),
    (256, 3, 1, True),
)
_GRID = 4  # cells a side of the last map for stamps of 64 pixels
_FEATURES = 4096
_MOMENTUM = (
    0.01  # weight of the newest batch; the published 0.99 is that of the earlier ones
)
SMALLEST = 8  # pixels a side


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build five convolutions and three linear layers.

    Stamps of another size than 64 pixels end in means over 4 x 4 cells. Running means need some 500
    steps of training to settle.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    channels = images.shape[0]
    layers: list[nn.Module] = []
    for width, kernel, stride, pool in _CONVOLUTIONS:
        layers += [
            nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
        ]
        if pool:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        channels = width
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(_GRID),
        nn.Flatten(),
        nn.Linear(channels * _GRID**2, _FEATURES),
        nn.ReLU(inplace=True),
        nn.Linear(_FEATURES, _FEATURES),
        nn.ReLU(inplace=True),
        nn.Linear(_FEATURES, outputs),
    )
