"""Per-image normalisations, by name: each maps (N, C, H, W) to (N, C, H, W), every image by its own pixels alone.

The bands of an image are scaled together, so that colours survive. A flat image becomes zeros; NaN stays NaN.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lenssim.errors import unknown

__all__ = ["NORMALISATIONS", "normalisation"]

_IMAGE = (1, 2, 3)
_SOFTENING = (
    10.0  # contrast at which asinh turns from linear to logarithmic: a tenth of the range
)


def _divide(values: Tensor, scale: Tensor) -> Tensor:
    """`values / scale`, 0 where the scale is 0 or less; NaN stays NaN, to be found."""
    flat = scale <= 0
    return torch.where(flat, 0, values) / torch.where(flat, 1, scale)


def minmax(images: Tensor) -> Tensor:
    """(x - min) / (max - min), as the published classification benchmark."""
    low = images.amin(_IMAGE, keepdim=True)
    return _divide(images - low, images.amax(_IMAGE, keepdim=True) - low)


def maximum(images: Tensor) -> Tensor:
    """x / max."""
    return _divide(images, images.amax(_IMAGE, keepdim=True))


def standard(images: Tensor) -> Tensor:
    """(x - mean) / standard deviation."""
    shifted = images - images.mean(_IMAGE, keepdim=True)
    flat = images.amax(_IMAGE, keepdim=True) == images.amin(
        _IMAGE, keepdim=True
    )  # rounding may leave a deviation
    deviation = shifted.square().mean(_IMAGE, keepdim=True).sqrt()
    return _divide(shifted, torch.where(flat, 0, deviation))


def asinh(images: Tensor) -> Tensor:
    """asinh(10 y) / asinh(10) of y = minmax(x): lifts faint arcs (Lupton et al. 2004)."""
    return torch.asinh(_SOFTENING * minmax(images)) / math.asinh(_SOFTENING)


def symlog(images: Tensor) -> Tensor:
    """asinh(x): x itself below 1, its logarithm far above; for pictures in units of sigma."""
    return torch.asinh(images)


def none(images: Tensor) -> Tensor:
    """x, in the units of the data."""
    return images


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "minmax": minmax,
    "max": maximum,
    "standard": standard,
    "asinh": asinh,
    "symlog": symlog,
    "none": none,
}


def normalisation(name: str) -> Callable[[Tensor], Tensor]:
    """The normalisation of that name; `ConfigError` with a suggestion for an unknown one."""
    if name not in NORMALISATIONS:
        raise unknown("normalisation", name, NORMALISATIONS)
    return NORMALISATIONS[name]
