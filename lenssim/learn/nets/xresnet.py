"""XResNet18 with Mish and self-attention: the hybrid of the DeepLense regression benchmark.

It is the ResNet of He et al. (2019), with three convolutions at the entry and means before a
shortcut is narrowed. The benchmark has deconvolutions at the entry instead.
"""

from typing import override

import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lenssim.learn.inputs.description import ImageDescription

__all__ = ["SelfAttention", "build"]

_BLOCKS = (2, 2, 2, 2)
_WIDTH = 64  # of the first stage
_QUERY_REDUCTION = 8  # width of the values over that of queries and keys


class SelfAttention(nn.Module):
    """Self-attention with a learned gain from zero on (Zhang et al. 2019, eqs. 1 to 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = (
            nn.Conv2d(width, width // _QUERY_REDUCTION, 1, bias=False) for _ in range(2)
        )
        self.value = nn.Conv2d(width, width, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    @override
    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            layer(x).flatten(2).mT for layer in (self.query, self.key, self.value)
        )
        gathered = scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gain * gathered.mT.unflatten(2, x.shape[2:])


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build timm's layers, with attention after the first stage, at a quarter of the resolution.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    net = ResNet(
        BasicBlock,  # type: ignore[arg-type]  # timm annotates its instances
        _BLOCKS,
        num_classes=outputs,
        in_chans=images.shape[0],
        stem_width=_WIDTH // 2,
        stem_type="deep",
        avg_down=True,
        act_layer=nn.Mish,
    )
    layers = net.layer1
    assert isinstance(layers, nn.Sequential)
    layers.append(SelfAttention(_WIDTH))
    return net.to(memory_format=torch.channels_last)  # faster on CPUs
