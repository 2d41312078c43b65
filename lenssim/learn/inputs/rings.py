"""Images without the smooth light of the galaxy in their middle, so that arcs remain."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

__all__ = ["ring_contrast"]

_ANGLES = 64  # samples of a ring
_ORDERS = (2, 4, 6)  # waves about a ring: an ellipse, and a disc seen from the side
_STEPS = 3
_ABOVE, _BELOW = 1.5, 3.0  # in units of the scatter: arcs stand above a smooth galaxy
_MAD_TO_SIGMA = 1.4826
_WINDOW = 17  # rings whose median is the scatter: more than those of an arc
_LEAST_SCATTER = 1e-3  # of the image's units


@dataclass(frozen=True)
class _Polar:
    """Places of rings, one a pixel wide, about the middle of an image of P pixels.

    Attributes:
        corners: The four pixels (4, R * A) about each radius and angle.
        corner_shares: Their weights (4, R * A) in a bilinear interpolation.
        waves: Values (A, W) of 1, cos 2 phi and sin 2 phi at the angles.
        lower: Ring (P,) inside of each pixel.
        share: Weight (P,) of the ring outside of it.
        pixel_waves: Values (W, P) of the waves in the pixels.
        in_rings: Whether each pixel (P,) lies within the largest ring.
    """

    corners: Tensor
    corner_shares: Tensor
    waves: Tensor
    lower: Tensor
    share: Tensor
    pixel_waves: Tensor
    in_rings: Tensor

    @classmethod
    def of(cls, height: int, width: int) -> Self:
        """Place the rings of images of `height` x `width` pixels."""
        middle_y = (height - 1) / 2
        middle_x = (width - 1) / 2
        radii = np.arange(0.5, max(min(height, width) / 2, 1.0))
        phi = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
        rows = (middle_y + radii[:, None] * np.sin(phi)).ravel()
        columns = (middle_x + radii[:, None] * np.cos(phi)).ravel()
        corners, corner_shares = _bilinear(rows, columns, height, width)
        y, x = np.indices((height, width))
        distance = np.hypot(y - middle_y, x - middle_x).ravel()
        position = np.interp(distance, radii, np.arange(len(radii)))
        lower = np.minimum(position.astype(int), max(len(radii) - 2, 0))
        angle = np.arctan2(y - middle_y, x - middle_x).ravel()
        return cls(
            corners=torch.from_numpy(corners),
            corner_shares=torch.from_numpy(corner_shares),
            waves=torch.from_numpy(_waves(phi)),
            lower=torch.from_numpy(lower),
            share=torch.from_numpy((position - lower).astype(np.float32)),
            pixel_waves=torch.from_numpy(_waves(angle).T.copy()),
            in_rings=torch.from_numpy(distance <= radii[-1] + 0.5),
        )

    def to(self, device: torch.device) -> Self:
        """Return the same on a device."""
        return type(self)(*(tensor.to(device) for tensor in vars(self).values()))

    def sampled(self, pixels: Tensor) -> Tensor:
        """Return pixels (..., P) at the radii and angles, (..., R, A)."""
        shares = self.corner_shares.to(pixels.dtype)
        corners = zip(self.corners, shares, strict=True)
        samples = sum(pixels.index_select(-1, place) * share for place, share in corners)
        assert isinstance(samples, Tensor)
        return samples.unflatten(-1, (-1, _ANGLES))


def _bilinear(
    rows: np.ndarray, columns: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the four pixels (4, S) about places (S,), and their weights (4, S)."""
    low_row = np.clip(np.floor(rows).astype(np.int64), 0, max(height - 2, 0))
    low_column = np.clip(np.floor(columns).astype(np.int64), 0, max(width - 2, 0))
    row_offset = rows - low_row
    column_offset = columns - low_column
    pixels = []
    shares = []
    for row, row_share in ((low_row, 1 - row_offset), (low_row + 1, row_offset)):
        for column, column_share in (
            (low_column, 1 - column_offset),
            (low_column + 1, column_offset),
        ):
            pixel = np.minimum(row, height - 1) * width + np.minimum(column, width - 1)
            pixels.append(pixel)
            shares.append(row_share * column_share)
    return np.stack(pixels), np.stack(shares).astype(np.float32)


def _waves(phi: np.ndarray) -> np.ndarray:
    """Return 1, cos and sin (N, W) of angles (N,), float32."""
    waves = [np.ones_like(phi)]
    for order in _ORDERS:
        waves += [np.cos(order * phi), np.sin(order * phi)]
    return np.stack(waves, axis=-1).astype(np.float32)


@lru_cache(maxsize=8)
def _polar(height: int, width: int, device: torch.device) -> _Polar:
    return _Polar.of(height, width).to(device)


def ring_contrast(images: Tensor) -> Tensor:
    """Return how far pixels stand above the smooth light of their ring, in units of its scatter.

    The light of a ring about the middle of the image is c + a cos 2 phi + b sin 2 phi. It is
    fitted robustly: what is brighter by 1.5 times the scatter, such as arcs, counts as that. The
    scatter is the median absolute residual, times 1.48, of this ring and its neighbours. So
    an arc does not hide itself.

    Args:
        images: Images (N, C, H, W). Their logarithm, or asinh, suits galaxies best.

    Returns:
        The contrast (N, C, H, W), 0 in flat images and outside of the largest ring.

    Example:
        >>> y, x = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
        >>> galaxy = -torch.hypot(x - 16, y - 16)[None, None] / 8
        >>> galaxy[0, 0, 16, 26] += 1  # an image of a source
        >>> contrast = ring_contrast(galaxy + 0.01 * torch.sin(7 * x * y))
        >>> divmod(int(contrast.argmax()), 33)
        (16, 26)
    """
    pixels = images.flatten(2)
    polar = _polar(*images.shape[-2:], images.device)
    with torch.autocast(images.device.type, enabled=False):  # products need their precision
        light, scatter = _smooth_light(polar.sampled(pixels), polar.waves.to(pixels.dtype))
    waves = polar.pixel_waves.to(pixels.dtype)
    model = (_in_pixels(light, polar) * waves).sum(-2)
    width = _in_pixels(scatter, polar)[..., 0, :].clamp(min=_LEAST_SCATTER)
    contrast = torch.where(polar.in_rings, (pixels - model) / width, 0)
    return contrast.view_as(images)


def _smooth_light(rings: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
    """Fit rings (..., R, A): coefficients (..., R, W) of the waves, and the scatter (..., R, 1)."""
    weights = waves * (2 / _ANGLES)
    weights[:, 0] = 1 / _ANGLES
    light = torch.zeros_like(rings[..., : waves.shape[1]])
    level = rings.median(-1, keepdim=True).values
    residual = rings - level
    light[..., :1] = level
    for _ in range(_STEPS):
        scatter = _scatter(residual)
        clipped = residual.clamp(min=-_BELOW * scatter, max=_ABOVE * scatter)
        change = clipped @ weights
        change[..., :1] = 0
        light = light + change
        residual = residual - change @ waves.T
        level = residual.median(-1, keepdim=True).values
        light[..., :1] += level
        residual = residual - level
    return light, _median_of_neighbours(_scatter(residual))


def _scatter(residual: Tensor) -> Tensor:
    """Return the robust standard deviation (..., 1) of residuals (..., A)."""
    return _MAD_TO_SIGMA * residual.abs().median(-1, keepdim=True).values


def _median_of_neighbours(scatter: Tensor) -> Tensor:
    """Return the median (..., R, 1) of each ring's scatter and that of the rings about it."""
    count = scatter.shape[-2]
    rings = torch.arange(count, device=scatter.device)
    offsets = torch.arange(_WINDOW, device=scatter.device) - _WINDOW // 2
    neighbours = (rings[:, None] + offsets).clamp(0, count - 1)
    return scatter[..., 0][..., neighbours].median(-1, keepdim=True).values


def _in_pixels(profile: Tensor, polar: _Polar) -> Tensor:
    """Interpolate a function (..., R, W) of radius in the pixels, (..., W, P)."""
    by_wave = profile.mT.contiguous()
    steps = by_wave.diff(dim=-1, append=by_wave[..., -1:])
    share = polar.share.to(profile.dtype)
    return torch.addcmul(
        by_wave.index_select(-1, polar.lower), steps.index_select(-1, polar.lower), share
    )
