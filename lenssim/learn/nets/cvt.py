"""Convolutional vision Transformer (Wu et al. 2021).

It has the size of the DeepLense Model III benchmark: 13.09 million parameters.
"""

from typing import override

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.attention import Residual, join_heads, split_heads

__all__ = ["SMALLEST", "CvT", "build"]

_STAGES = (  # width, kernel, stride, depth, heads
    (54, 7, 4, 1, 1),
    (162, 3, 2, 2, 3),
    (324, 3, 2, 10, 4),
)
_HEAD_DIM = 64
_MLP = 4
SMALLEST = 16  # pixels a side


class _Depthwise(nn.Conv2d):
    """A 3 x 3 convolution of each channel, subsampled to every `step`th pixel.

    It equals a convolution of that stride. The gradient of that in bf16 takes CPUs sixty times as
    long.
    """

    def __init__(self, width: int, step: int) -> None:
        super().__init__(width, width, 3, padding=1, groups=width, bias=False)
        self.step = step

    @override
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features)[..., :: self.step, :: self.step]


class _Pointwise(nn.Linear):
    """A 1 x 1 convolution as a product of matrices, which is faster on CPUs in bf16."""

    @override
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel of (N, C, H, W)."""

    @override
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)


def _projection(width: int, out: int, step: int) -> nn.Sequential:
    """Build depthwise convolution, batch norm and pointwise convolution."""
    return nn.Sequential(
        _Depthwise(width, step), nn.BatchNorm2d(width), _Pointwise(width, out, bias=False)
    )


class _Attention(nn.Module):
    """Attention whose keys and values have half the resolution of the queries."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * _HEAD_DIM
        self.queries = _projection(width, inner, 1)
        self.keys_values = _projection(width, 2 * inner, 2)
        self.out = _Pointwise(inner, width)

    @override
    def forward(self, features: Tensor) -> Tensor:
        keys, values = self.keys_values(features).chunk(2, dim=1)
        q, k, v = (
            split_heads(part.flatten(2).transpose(1, 2), self.heads)
            for part in (self.queries(features), keys, values)
        )
        attended = join_heads(scaled_dot_product_attention(q, k, v))
        return self.out(attended.transpose(1, 2).unflatten(-1, features.shape[2:]))


def _transformer_layer(width: int, heads: int) -> list[nn.Module]:
    mlp = (
        _Pointwise(width, _MLP * width),
        nn.GELU(),
        _Pointwise(_MLP * width, width),
    )
    return [
        Residual(_ChannelNorm(width), _Attention(width, heads)),
        Residual(_ChannelNorm(width), *mlp),
    ]


class CvT(nn.Sequential):
    """Three stages of convolutional embedding and attention layers; mean over the stamp; linear.

    It maps images (N, C, H, W) of at least 16 pixels a side to (N, outputs).
    """

    def __init__(self, channels: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for width, kernel, stride, depth, heads in _STAGES:
            layers += [
                nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2),
                _ChannelNorm(width),
            ]
            for _ in range(depth):
                layers += _transformer_layer(width, heads)
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
    return CvT(images.shape[0], outputs)
