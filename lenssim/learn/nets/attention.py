"""What the transformers share: heads, and layers with a residual around them."""

from typing import override

from torch import Tensor, nn

__all__ = ["Residual", "join_heads", "split_heads"]


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """(N, T, heads D) to (N, heads, T, D)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """(N, heads, T, D) to (N, T, heads D)."""
    return tokens.transpose(1, 2).flatten(-2)


class Residual(nn.Sequential):
    """x + layers(x)."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)
