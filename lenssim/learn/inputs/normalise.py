"""Normalisations by name, functions of images (N, C, H, W) that treat every image separately.

The bands of an image are scaled together, so that colours survive. Those of a name that begins
with `band_` are scaled each by its own pixels, so that a faint band counts as much as a bright
one. A flat image becomes zeros; NaN stays NaN.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lenssim.errors import unknown
from lenssim.learn.inputs.rings import ring_contrast

__all__ = ["NORMALISATIONS", "normalisation"]

_IMAGE = (1, 2, 3)
_SKY_NOISE = 3.0  # where `sky` turns from linear to logarithmic
_RING_SCATTER = 2.0  # where `rings` turns from linear to logarithmic
_DIFFERENCE_TO_SIGMA = 1.0484  # of the median difference of two normal deviates
_SOFTENING = 10.0  # asinh turns from linear to logarithmic at a tenth of the range


def _divide(values: Tensor, scale: Tensor) -> Tensor:
    """Return `values / scale`, 0 where the scale is 0 or less; NaN stays NaN."""
    flat = scale <= 0
    return torch.where(flat, 0, values) / torch.where(flat, 1, scale)


def minmax(images: Tensor) -> Tensor:
    """Return (x - min) / (max - min), as in the published classification benchmark.

    Example:
        >>> minmax(torch.tensor([[[[2.0, 4.0, 6.0]]]])).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """
    low = images.amin(_IMAGE, keepdim=True)
    return _divide(images - low, images.amax(_IMAGE, keepdim=True) - low)


def maximum(images: Tensor) -> Tensor:
    """Return x / max."""
    return _divide(images, images.amax(_IMAGE, keepdim=True))


def standard(images: Tensor) -> Tensor:
    """Return (x - mean) / standard deviation."""
    shifted = images - images.mean(_IMAGE, keepdim=True)
    low = images.amin(_IMAGE, keepdim=True)
    flat = images.amax(_IMAGE, keepdim=True) == low  # rounding may leave a deviation
    deviation = shifted.square().mean(_IMAGE, keepdim=True).sqrt()
    return _divide(shifted, torch.where(flat, 0, deviation))


def asinh(images: Tensor) -> Tensor:
    """Return asinh(10 y) / asinh(10) with y = minmax(x), for faint arcs (Lupton et al. 2004)."""
    return torch.asinh(_SOFTENING * minmax(images)) / math.asinh(_SOFTENING)


def sky(images: Tensor) -> Tensor:
    """Return asinh((x - level) / (3 noise)), for faint arcs about bright galaxies.

    Level and noise are those of the corners: their median, and the median difference of
    neighbouring pixels. Corners have an eighth of the side, at least two pixels.
    """
    side = max(2, min(images.shape[-2:]) // 8)
    ends = (slice(None, side), slice(-side, None))
    corners = torch.stack([images[..., rows, columns] for rows in ends for columns in ends])
    corners = corners.movedim(0, 1)
    level = corners.flatten(1).median(1).values[:, None, None, None]
    difference = corners.diff(dim=-1).abs().flatten(1).median(1).values
    noise = _DIFFERENCE_TO_SIGMA * difference[:, None, None, None]
    return torch.asinh(_divide(images - level, _SKY_NOISE * noise))


def rings(images: Tensor) -> Tensor:
    """Return `asinh(y / 2)`, where y is the contrast of `sky` in rings: arcs without their galaxy.

    Neither the brightness nor the size of the galaxy in the middle remains.
    """
    return torch.asinh(ring_contrast(sky(images)) / _RING_SCATTER)


def symlog(images: Tensor) -> Tensor:
    """Return asinh(x), for maps in units of sigma: x itself below 1, its logarithm far above."""
    return torch.asinh(images)


def none(images: Tensor) -> Tensor:
    """Return x, in the units of the data."""
    return images


@dataclass(frozen=True)
class ByBand:
    """A normalisation that scales each band of an image (N, C, H, W) by its own pixels.

    Example:
        >>> bands = torch.tensor([[[[0.0, 1.0]], [[0.0, 8.0]]]])
        >>> ByBand(maximum)(bands).flatten().tolist()
        [0.0, 1.0, 0.0, 1.0]
    """

    scale: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor) -> Tensor:
        """Return the scaled images (N, C, H, W)."""
        bands = self.scale(images.flatten(0, 1)[:, None])
        return bands.unflatten(0, images.shape[:2])[:, :, 0]


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "minmax": minmax,
    "max": maximum,
    "standard": standard,
    "asinh": asinh,
    "sky": sky,
    "rings": rings,
    "symlog": symlog,
    "none": none,
    "band_minmax": ByBand(minmax),
    "band_max": ByBand(maximum),
    "band_standard": ByBand(standard),
    "band_asinh": ByBand(asinh),
}


def normalisation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the normalisation of that name.

    Args:
        name: A name in `NORMALISATIONS`.

    Returns:
        A function of images (N, C, H, W).

    Raises:
        ConfigError: The name is unknown. The message suggests the nearest.
    """
    if name not in NORMALISATIONS:
        raise unknown("normalisation", name, NORMALISATIONS, code="unknown-normalisation")
    return NORMALISATIONS[name]
