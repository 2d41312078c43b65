"""Lensformer (Veloso, Toomey & Gleyzer): a transformer that inverts the lens.

It has 13,236,421 parameters for 64 x 64 stamps.

The published network rounds the position of every pixel in the source plane. No gradient passes
through that, so its physics encoder never learns. It also assumes Einstein radii of 0.8" to 1.2"
and pixels of 0.101". Here light is shared among four neighbouring pixels, and the radii are those
of the data set. The parameters are the same.
"""

import math
from itertools import pairwise, product
from typing import override

import torch
from torch import Tensor, nn

from lenssim.errors import ConfigError
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.attention import join_heads, split_heads
from lenssim.learn.nets.padding import padded

__all__ = ["SMALLEST", "Lensformer", "build", "radius_range", "to_source"]

_DIM = 384
_HEADS = 16
_HIDDEN = 64
_DROPOUT = 0.1
_PATCHES = 2  # a side
SMALLEST = _PATCHES  # pixels a side
_TOKENS = 1 + _PATCHES**2
_MAX_GRID = 64  # positions a side for which the physics encoder predicts a radius
_MARGIN = (
    0.2  # relative margin around the range of the data set, as in the published 0.8 to 1.2
)
_PUBLISHED_RADII = (0.8 / (64 * 0.101), 1.2 / (64 * 0.101))  # relative to the stamp's side
_SOFTENING = 1e-6


def radius_range(images: ImageDescription) -> tuple[float, float]:
    """Return the smallest and largest Einstein radius that the network predicts.

    Args:
        images: The images. If their radii or pixel scale are unknown, the published range applies.

    Returns:
        The radii in pixels.

    Raises:
        ConfigError: No ring fits into the stamp.

    Example:
        >>> low, high = radius_range(ImageDescription((1, 64, 64), 0.1, theta_E=(1.0, 2.0)))
        >>> round(low, 6), round(high, 6)
        (8.0, 24.0)
    """
    side = min(images.shape[1:])
    if images.theta_E is None or images.pixel_scale is None:
        return _PUBLISHED_RADII[0] * side, _PUBLISHED_RADII[1] * side
    smallest, largest = images.theta_E
    low = (1 - _MARGIN) * (smallest / images.pixel_scale)
    high = (1 + _MARGIN) * (largest / images.pixel_scale)
    if low >= side / 2:
        raise ConfigError(
            f"the net lensformer takes stamps that hold their rings, got rings of "
            f"{smallest:.3g} to {largest:.3g} arcsec in stamps of "
            f"{side * images.pixel_scale:.3g} arcsec a side",
            code="net-stamp",
            smallest=smallest,
            largest=largest,
        )
    return low, min(high, side / 2)


def to_source(images: Tensor, radii: Tensor) -> Tensor:
    """Ray-trace images to their source plane, with the lens equation of an isothermal sphere.

    The light at x comes from x - radius x / |x|. It is shared among the four pixels around that
    position. A pixel of the source plane is the mean of the light that it receives, 0 if it
    receives none.

    Args:
        images: Images (N, C, H, W).
        radii: Einstein radii (N, H, W) in pixels, one at every pixel.

    Returns:
        The source plane (N, C, H, W).
    """
    height, width = images.shape[2:]
    source_y, source_x = _source_positions(images, radii)
    corner_y = source_y.detach().floor()
    corner_x = source_x.detach().floor()
    light = images.new_zeros(len(images), images.shape[1] + 1, height * width)
    weighted_light = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
    for row_step, column_step in product((0, 1), repeat=2):
        row = corner_y + row_step
        column = corner_x + column_step
        weight = (1 - (source_y - row).abs()) * (1 - (source_x - column).abs())
        in_stamp = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        target = torch.where(in_stamp, row * width + column, 0).long()
        part = weighted_light * torch.where(in_stamp, weight, 0)[:, None]
        light = light.scatter_add(
            2, target[:, None].expand_as(part).flatten(2), part.flatten(2)
        )
    weights = light[:, -1:]
    return (light[:, :-1] / (weights + _SOFTENING)).unflatten(2, (height, width))


def _source_positions(images: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions y, x (N, H, W) of all pixels in the source plane, in pixels."""
    height, width = images.shape[2:]
    radii = radii.to(images.dtype)  # half precision would not resolve neighbouring pixels
    rows = torch.arange(height, dtype=radii.dtype, device=radii.device)
    columns = torch.arange(width, dtype=radii.dtype, device=radii.device)
    y = rows[:, None] - (height - 1) / 2
    x = columns - (width - 1) / 2
    scale = 1 - radii / torch.sqrt(x**2 + y**2 + _SOFTENING)
    return scale * y + (height - 1) / 2, scale * x + (width - 1) / 2


class _Tokens(nn.Module):
    """Patch tokens of images and four diagonal shifts (Lee et al. 2021), and a class token."""

    def __init__(self, channels: int, patch: tuple[int, int]) -> None:
        super().__init__()
        self.shift = [side // 2 for side in patch]
        self.embed = nn.Linear(5 * channels * math.prod(patch), _DIM)
        self.norm = nn.LayerNorm(_DIM)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, _DIM))
        self.position = nn.Parameter(0.02 * torch.randn(1, _TOKENS, _DIM))

    @override
    def forward(self, images: Tensor) -> Tensor:
        rows, columns = self.shift
        height, width = images.shape[2:]
        wide = nn.functional.pad(images, (columns, columns, rows, rows))
        shifts = [
            wide[:, :, y : y + height, x : x + width]
            for y, x in product((0, 2 * rows), (0, 2 * columns))
        ]
        patches = self.norm(self.embed(_patches(torch.cat([images, *shifts], dim=1))))
        class_tokens = self.class_token.expand(len(patches), -1, -1)
        return torch.cat([class_tokens, patches], dim=1) + self.position


def _patches(images: Tensor) -> Tensor:
    """Return the pixels of each patch of images (N, C, H, W): (N, patches, C H W / patches)."""
    cut = images.unflatten(2, (_PATCHES, -1)).unflatten(4, (_PATCHES, -1))
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class _Block(nn.Module):
    """Locality self-attention and a feed-forward network, norms last.

    No token attends to itself, and the temperature is learned.
    """

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (
            nn.Linear(_DIM, _DIM) for _ in range(4)
        )
        self.temperature = nn.Parameter(torch.tensor(math.sqrt(_DIM / _HEADS)))
        self.attended = nn.LayerNorm(_DIM)
        self.norm = nn.LayerNorm(_DIM)
        self.dropout = nn.Dropout(_DROPOUT)
        self.feed_forward = nn.Sequential(
            *(nn.Linear(_DIM, _HIDDEN), nn.ELU(), nn.Dropout(_DROPOUT)),
            *(nn.Linear(_HIDDEN, _HIDDEN), nn.ELU(), nn.Dropout(_DROPOUT)),
            nn.Linear(_HIDDEN, _DIM),
        )

    @override
    def forward(self, observed: Tensor, values: Tensor) -> Tensor:
        q, k = (split_heads(layer(observed), _HEADS) for layer in (self.query, self.key))
        scores = q @ k.transpose(-2, -1) / self.temperature
        itself = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(itself, -torch.inf)
        mixed = self.dropout(scores.softmax(-1)) @ split_heads(self.value(values), _HEADS)
        tokens = self.attended(values + self.dropout(self.out(join_heads(mixed))))
        return self.norm(tokens + self.dropout(self.feed_forward(tokens)))


class Lensformer(nn.Module):
    """A transformer that predicts Einstein radii, then attends to the source plane.

    It maps images (N, C, H, W), both sides even, to (N, outputs). `radii` are the smallest and the
    largest Einstein radius in pixels.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], radii: tuple[float, float], outputs: int
    ) -> None:
        super().__init__()
        height, width = size
        self.size = size
        self.radii = radii
        self.grid = (min(height, _MAX_GRID), min(width, _MAX_GRID))
        patch = (height // _PATCHES, width // _PATCHES)
        flat = _TOKENS * _DIM
        self.image_tokens = _Tokens(channels, patch)
        self.source_tokens = _Tokens(channels, patch)
        self.encoder = _Block()
        self.decoder = _Block()
        self.physics = nn.Linear(flat, self.grid[0] * self.grid[1])
        hidden: list[nn.Module] = []
        for features, units in pairwise((flat, *[_HIDDEN] * 4)):
            hidden += [nn.Linear(features, units), nn.ELU(), nn.Dropout(_DROPOUT)]
        self.head = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(_HIDDEN, outputs))

    def einstein_radii(self, tokens: Tensor) -> Tensor:
        """Return Einstein radii (N, H, W), in pixels, from the encoded tokens of the images."""
        low, high = self.radii
        relative = self.physics(tokens.flatten(1)).sigmoid().unflatten(1, self.grid)
        radii = low + (high - low) * relative
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
    """Build the network. Four patches tile the stamp, and odd sides get a row of zeros.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).

    Raises:
        ConfigError: The stamps are too small for their rings.
    """
    radii = radius_range(images)
    return padded(
        images.shape,
        _PATCHES,
        lambda size: Lensformer(images.shape[0], size, radii, outputs),
    )
