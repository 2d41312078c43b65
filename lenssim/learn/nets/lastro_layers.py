"""Layers of the LASTRO EPFL lens finder, which keep the spread of their inputs at the start.

Schaefer et al. (2018), arXiv 1705.07132. Weights begin normal, with a variance of one over the
number of inputs. Dropout grows, and batch statistics come to rest, as the training goes on.
"""

import math
from typing import override

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from lenssim.learn.nets.equivariant import matrices

__all__ = [
    "SIDE",
    "AmortisedNorm",
    "DihedralConvolution",
    "GrowingDropout",
    "Jitter",
    "NormalisedReLU",
    "ScaleAndShift",
    "convolution",
    "fitted",
]

SIDE = 101  # pixels of the challenge's stamps
_ELEMENTS = 8  # of the dihedral group


def fitted(images: Tensor, side: int = SIDE) -> Tensor:
    """Cut or zero-pad images (N, C, H, W) about their centre to `side` pixels a side."""
    height, width = images.shape[-2:]
    rows = side - height
    columns = side - width
    edges = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return pad(images, edges)  # negative edges cut


def convolution(channels: int, width: int, kernel: int) -> nn.Conv2d:
    """Return a convolution without padding, its weights normal and its bias zero."""
    layer = nn.Conv2d(channels, width, kernel)
    nn.init.normal_(layer.weight, std=1 / math.sqrt(channels * kernel**2))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class NormalisedReLU(nn.Module):
    """(sqrt(2 pi) max(0, x) - 1) / sqrt(pi - 1): normal deviates keep mean 0 and variance 1."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        return (math.sqrt(2 * math.pi) * x.relu() - 1) / math.sqrt(math.pi - 1)


class ScaleAndShift(nn.Module):
    """A learned scale and shift of each field, after a pooling, from the published constants on."""

    def __init__(self, fields: int, scale: float, shift: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((fields,), scale))
        self.shift = nn.Parameter(torch.full((fields,), shift))

    @override
    def forward(self, x: Tensor) -> Tensor:
        copies = x.shape[1] // len(self.scale)
        scale = self.scale.repeat_interleave(copies)[:, None, None]
        shift = self.shift.repeat_interleave(copies)[:, None, None]
        return x * scale + shift


class AmortisedNorm(nn.Module):
    """A batch norm whose running statistics take a share .6^(step / 1000) of each batch.

    It normalises by the running statistics in the training, too. `copies` channels in a row share
    their statistics and weights: the elements of a group.
    """

    mean: Tensor
    variance: Tensor
    steps: Tensor

    def __init__(self, fields: int, copies: int = 1) -> None:
        super().__init__()
        self.copies = copies
        self.weight = nn.Parameter(torch.ones(fields))
        self.bias = nn.Parameter(torch.zeros(fields))
        self.register_buffer("mean", torch.zeros(fields))
        self.register_buffer("variance", torch.ones(fields))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @override
    def forward(self, x: Tensor) -> Tensor:
        fields = x.unflatten(1, (-1, self.copies))
        mean, variance = self._statistics(fields)
        scale = self.weight / (variance + 1e-3).sqrt()
        shift = self.bias - mean * scale
        shape = (-1, 1, 1, 1)
        return (fields * scale.view(shape) + shift.view(shape)).flatten(1, 2)

    def _statistics(self, fields: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of fields (N, K, copies, H, W); in training, update them."""
        if not self.training:
            return self.mean, self.variance
        share = 0.6 ** (self.steps.float() / 1000)
        variance, mean = torch.var_mean(fields.float(), (0, 2, 3, 4), correction=0)
        mean = torch.lerp(self.mean, mean, share)
        variance = torch.lerp(self.variance, variance, share)
        with torch.no_grad():
            self.mean.copy_(mean)
            self.variance.copy_(variance)
            self.steps += 1
        return mean, variance


class GrowingDropout(nn.Module):
    """A dropout that begins at 0 and approaches .5: it keeps .5 + .5 * .5^(step / 2000)."""

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept_share = 0.5 + 0.5 * 0.5 ** (float(self.steps) / 2000)
        self.steps += 1
        return x * torch.empty_like(x).bernoulli_(kept_share) / kept_share


class Jitter(nn.Module):
    """In training, images times U(.8, 1.2) plus U(-.1, .1), as in the published training."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return images
        scale, shift = torch.rand((2, len(images), 1, 1, 1), device=images.device)
        return images * (0.8 + 0.4 * scale) + (0.2 * shift - 0.1)


def _turned(filters: Tensor, element: int) -> Tensor:
    """Return filters (..., y, x) under an element of D4, in the order of `matrices`."""
    if element >= 4:
        filters = filters.flip(-2)
    return torch.rot90(filters, element % 4, (-2, -1))


def _quotients() -> Tensor:
    """Return the index (8, 8) of g^-1 h, for each g and h of D4."""
    elements = torch.from_numpy(matrices("D4"))
    products = torch.einsum("gji,hjk->ghik", elements, elements)
    distances = (products[:, :, None] - elements).flatten(3).norm(dim=3)
    return distances.argmin(-1)


class DihedralConvolution(nn.Module):
    """A convolution without padding of fields that turn and mirror with the image.

    A field has 8 channels in a row, one for each element of D4. Without `regular`, the input is
    an image, whose channels do not depend on the element (Cohen & Welling 2016).
    """

    quotients: Tensor

    def __init__(
        self, channels: int, fields: int, kernel: int, *, regular: bool = True
    ) -> None:
        super().__init__()
        shape = (fields, channels, kernel, kernel)
        self.regular = regular
        gain = 1 / math.sqrt(channels * kernel**2)
        self.weight = nn.Parameter(torch.randn(shape) * gain)
        self.bias = nn.Parameter(torch.zeros(fields))
        self.register_buffer("quotients", _quotients(), persistent=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        turned = torch.stack([self._filters(element) for element in range(_ELEMENTS)], 1)
        bias = self.bias.repeat_interleave(_ELEMENTS)
        return conv2d(x, turned.flatten(0, 1), bias)

    def _filters(self, element: int) -> Tensor:
        """Return the filters (K, C, y, x) whose answers belong to an element."""
        filters = self.weight
        if self.regular:
            fields = filters.unflatten(1, (-1, _ELEMENTS))
            filters = fields[:, :, self.quotients[element]].flatten(1, 2)
        return _turned(filters, element)
