"""Parts of the transformers: attention heads, and layers with a residual connection."""

from typing import override

from torch import Tensor, nn

__all__ = ["Residual", "join_heads", "split_heads"]


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """Reshape tokens (N, T, heads D) to (N, heads, T, D).

    Example:
        >>> import torch
        >>> split_heads(torch.zeros(1, 5, 8), heads=2).shape
        torch.Size([1, 2, 5, 4])
    """
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """Reshape tokens (N, heads, T, D) to (N, T, heads D)."""
    return tokens.transpose(1, 2).flatten(-2)


class Residual(nn.Sequential):
    """Layers with a residual connection: x + layers(x)."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)
