"""Stamps made to fit nets whose patches tile them."""

from collections.abc import Callable

from torch import nn

__all__ = ["padded"]


def padded(
    shape: tuple[int, int, int],
    multiple: int,
    build: Callable[[tuple[int, int]], nn.Module],
) -> nn.Module:
    """`build((H, W))` for images (N, C, H, W) of `shape`, with zeros on all sides up to the next multiple of pixels."""
    missing = [-side % multiple for side in shape[1:]]
    net = build((shape[1] + missing[0], shape[2] + missing[1]))
    if not any(missing):
        return net
    (top, bottom), (left, right) = ((gap // 2, gap - gap // 2) for gap in missing)
    return nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), net)
