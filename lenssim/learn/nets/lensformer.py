"""Lensformer (Veloso, Toomey & Gleyzer): a transformer that undoes the lens; 13,236,421 parameters for 64 x 64 stamps.

The published net puts every pixel on its rounded place in the source plane, through which no gradient passes, so its
physics encoder never learns; it takes Einstein radii of 0.8" to 1.2" and pixels of 0.101" for granted. Here pixels are
placed between their four neighbours, and the radii are those of the data set. The parameters are the same.
"""

import math
from itertools import pairwise
from typing import override

import torch
from torch import Tensor, nn

from lenssim.errors import ConfigError
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.attention import join_heads, split_heads
from lenssim.learn.nets.padding import padded

__all__ = ["SMALLEST", "Lensformer", "build", "radius_range", "to_source"]

_DIM, _HEADS, _HIDDEN, _DROPOUT = 384, 16, 64, 0.1
_PATCHES = 2  # a side
SMALLEST = _PATCHES  # pixels a side
_TOKENS = 1 + _PATCHES**2
_GRID = 64  # places a side, at most, for which the physics encoder tells a radius
_MARGIN = 0.2  # by which Einstein radii may leave the data set's range: the published 0.8 to 1.2 of 1
_PUBLISHED = (0.8 / (64 * 0.101), 1.2 / (64 * 0.101))  # of the stamp's side
_SOFTENING = 1e-6


def radius_range(images: ImageDescription) -> tuple[float, float]:
    """Smallest and largest Einstein radius to look for, in pixels; of images that do not say theirs, the published.

    `ConfigError` where no ring fits into the stamp.
    """
    side = min(images.shape[1:])
    if images.theta_E is None or images.pixel_scale is None:
        return _PUBLISHED[0] * side, _PUBLISHED[1] * side
    low, high = (radius / images.pixel_scale for radius in images.theta_E)
    low, high = (1 - _MARGIN) * low, (1 + _MARGIN) * high
    if low >= side / 2:
        raise ConfigError(
            f"the net lensformer takes stamps that hold their rings, got rings of {images.theta_E[0]:.3g} to "
            f"{images.theta_E[1]:.3g} arcsec in stamps of {side * images.pixel_scale:.3g} arcsec a side"
        )
    return low, min(high, side / 2)


def to_source(images: Tensor, radii: Tensor) -> Tensor:
    """Images (N, C, H, W) as their source plane shows them, for an Einstein radius (N, H, W) in pixels at every pixel.

    The light seen at x comes from x - radius x / |x|, the lens equation of an isothermal sphere. It is shared among the
    four pixels around that place; a pixel of the source plane is the mean of the light it got, 0 if it got none.
    """
    n, channels, height, width = images.shape
    radii = radii.to(
        images.dtype
    )  # half-precision numbers would not tell neighbouring pixels apart
    y = (
        torch.arange(height, dtype=radii.dtype, device=radii.device)[:, None]
        - (height - 1) / 2
    )
    x = torch.arange(width, dtype=radii.dtype, device=radii.device) - (width - 1) / 2
    scale = 1 - radii / torch.sqrt(x**2 + y**2 + _SOFTENING)
    place_y, place_x = scale * y + (height - 1) / 2, scale * x + (width - 1) / 2
    corner_y, corner_x = place_y.detach().floor(), place_x.detach().floor()
    light = images.new_zeros(n, channels + 1, height * width)
    carried = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
    for down in (0, 1):
        for right in (0, 1):
            row, column = corner_y + down, corner_x + right
            weight = (1 - (place_y - row).abs()) * (1 - (place_x - column).abs())
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            target = torch.where(inside, row * width + column, 0).long()
            part = carried * torch.where(inside, weight, 0)[:, None]
            light = light.scatter_add(
                2, target[:, None].expand_as(part).flatten(2), part.flatten(2)
            )
    weights = light[:, -1:]
    return (light[:, :-1] / (weights + _SOFTENING)).unflatten(2, (height, width))


class _Tokens(nn.Module):
    """Shifted patch tokens (Lee et al. 2021): the images and four diagonal shifts, cut into patches; a class token."""

    def __init__(self, channels: int, patch: tuple[int, int]) -> None:
        super().__init__()
        self.shift = [side // 2 for side in patch]
        self.embed = nn.Linear(5 * channels * math.prod(patch), _DIM)
        self.norm = nn.LayerNorm(_DIM)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, _DIM))
        self.position = nn.Parameter(0.02 * torch.randn(1, _TOKENS, _DIM))

    @override
    def forward(self, images: Tensor) -> Tensor:
        (down, right), (height, width) = self.shift, images.shape[2:]
        wide = nn.functional.pad(images, (right, right, down, down))
        shifts = [
            wide[:, :, y : y + height, x : x + width]
            for y in (0, 2 * down)
            for x in (0, 2 * right)
        ]
        patches = self.norm(self.embed(_patches(torch.cat([images, *shifts], dim=1))))
        return (
            torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1)
            + self.position
        )


def _patches(images: Tensor) -> Tensor:
    """The pixels of each patch of images (N, C, H, W), row by row: (N, patches, C H W / patches)."""
    cut = images.unflatten(2, (_PATCHES, -1)).unflatten(4, (_PATCHES, -1))
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class _Block(nn.Module):
    """Locality self-attention (no token looks at itself, learned temperature) and a feed-forward, norms last."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (
            nn.Linear(_DIM, _DIM) for _ in range(4)
        )
        self.temperature = nn.Parameter(torch.tensor(math.sqrt(_DIM / _HEADS)))
        self.attended, self.norm = nn.LayerNorm(_DIM), nn.LayerNorm(_DIM)
        self.dropout = nn.Dropout(_DROPOUT)
        self.feed_forward = nn.Sequential(
            *(nn.Linear(_DIM, _HIDDEN), nn.ELU(), nn.Dropout(_DROPOUT)),
            *(nn.Linear(_HIDDEN, _HIDDEN), nn.ELU(), nn.Dropout(_DROPOUT)),
            nn.Linear(_HIDDEN, _DIM),
        )

    @override
    def forward(self, observed: Tensor, values: Tensor) -> Tensor:
        q, k = (split_heads(layer(observed), _HEADS) for layer in (self.query, self.key))
        alike = q @ k.transpose(-2, -1) / self.temperature
        alike = alike.masked_fill(
            torch.eye(alike.shape[-1], dtype=torch.bool, device=alike.device), -torch.inf
        )
        mixed = self.dropout(alike.softmax(-1)) @ split_heads(self.value(values), _HEADS)
        tokens = self.attended(values + self.dropout(self.out(join_heads(mixed))))
        return self.norm(tokens + self.dropout(self.feed_forward(tokens)))


class Lensformer(nn.Module):
    """Tokens of the image tell an Einstein radius for every pixel; the image's attention reads the source so found.

    Images (N, C, H, W), both sides even, to (N, outputs). `radii` are the smallest and the largest Einstein
    radius in pixels.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], radii: tuple[float, float], outputs: int
    ) -> None:
        super().__init__()
        self.size, self.radii = size, radii
        patch, self.grid = (
            tuple(side // _PATCHES for side in size),
            tuple(min(side, _GRID) for side in size),
        )
        flat = _TOKENS * _DIM
        self.image_tokens, self.source_tokens = (
            _Tokens(channels, patch),
            _Tokens(channels, patch),
        )
        self.encoder, self.decoder = _Block(), _Block()
        self.physics = nn.Linear(flat, self.grid[0] * self.grid[1])
        widths = (flat, _HIDDEN, _HIDDEN, _HIDDEN, _HIDDEN)
        hidden = [
            layer
            for before, width in pairwise(widths)
            for layer in (nn.Linear(before, width), nn.ELU(), nn.Dropout(_DROPOUT))
        ]
        self.head = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(_HIDDEN, outputs))

    def einstein_radii(self, tokens: Tensor) -> Tensor:
        """Einstein radii (N, H, W), in pixels, from the encoded tokens of the images."""
        low, high = self.radii
        radii = low + (high - low) * self.physics(tokens.flatten(1)).sigmoid().unflatten(
            1, self.grid
        )
        if self.grid == self.size:
            return radii
        return nn.functional.interpolate(
            radii[:, None], self.size, mode="bilinear", align_corners=False
        )[:, 0]

    @override
    def forward(self, images: Tensor) -> Tensor:
        tokens = self.image_tokens(images)
        observed = self.encoder(tokens, tokens)
        source = self.source_tokens(to_source(images, self.einstein_radii(observed)))
        return self.head(self.decoder(observed, source))


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Any number of channels. Four patches tile the stamp, whose odd sides get a row of zeros.

    `ConfigError` for stamps too small for their rings.
    """
    radii = radius_range(images)
    return padded(
        images.shape,
        _PATCHES,
        lambda size: Lensformer(images.shape[0], size, radii, outputs),
    )
