"""Vision Transformer (Dosovitskiy et al. 2021).

It has the size of the DeepLense Model III benchmark: 13,395,203 parameters.
"""

from typing import override

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle, scaled_dot_product_attention

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.attention import Residual, join_heads, split_heads
from lenssim.learn.nets.padding import padded

__all__ = ["ViT", "build"]

_PATCH = 32  # pixels a side
_DIM = 384
_DEPTH = 6
_HEADS = 16
_HEAD_DIM = 64
_MLP = 768
_DROPOUT = 0.1


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.queries_keys_values = nn.Linear(_DIM, 3 * _HEADS * _HEAD_DIM, bias=False)
        self.out = nn.Sequential(nn.Linear(_HEADS * _HEAD_DIM, _DIM), nn.Dropout(_DROPOUT))

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = (
            split_heads(part, _HEADS)
            for part in self.queries_keys_values(tokens).chunk(3, dim=-1)
        )
        dropout = _DROPOUT if self.training else 0.0
        attended = scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.out(join_heads(attended))


def _transformer_layer() -> list[nn.Module]:
    mlp = (
        nn.Linear(_DIM, _MLP),
        nn.GELU(),
        nn.Dropout(_DROPOUT),
        nn.Linear(_MLP, _DIM),
        nn.Dropout(_DROPOUT),
    )
    return [
        Residual(nn.LayerNorm(_DIM), _Attention()),
        Residual(nn.LayerNorm(_DIM), *mlp),
    ]


class ViT(nn.Module):
    """Six pre-norm layers on patches of 32 pixels and a class token, which is read out.

    It maps images (N, C, H, W), both sides multiples of 32, to (N, outputs).
    """

    def __init__(self, channels: int, size: tuple[int, int], outputs: int) -> None:
        super().__init__()
        pixels = channels * _PATCH**2
        tokens = 1 + size[0] * size[1] // _PATCH**2
        self.embed = nn.Sequential(
            nn.LayerNorm(pixels), nn.Linear(pixels, _DIM), nn.LayerNorm(_DIM)
        )
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, _DIM))
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, _DIM))
        self.dropout = nn.Dropout(_DROPOUT)
        layers: list[nn.Module] = []
        for _ in range(_DEPTH):
            layers += _transformer_layer()
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.LayerNorm(_DIM), nn.Linear(_DIM, outputs))

    @override
    def forward(self, images: Tensor) -> Tensor:
        patches = self.embed(pixel_unshuffle(images, _PATCH).flatten(2).transpose(1, 2))
        tokens = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1)
        return self.head(self.layers(self.dropout(tokens + self.position))[:, 0])


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build the network for any stamp size: stamps are zero-padded to a multiple of 32 pixels.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    return padded(images.shape, _PATCH, lambda size: ViT(images.shape[0], size, outputs))
