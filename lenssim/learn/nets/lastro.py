"""The lens finders of LASTRO EPFL (Schaefer et al. 2018) for stamps of 101 pixels.

Other stamps are cut or zero-padded to 101 pixels. The numbers of weights are those of the
published report: 5,674,145, 7,035,308, 4,863,021 and 1,753,705 for one band and one output. The
two networks of `views` learn together here, and took turns there.
"""

from typing import override

import torch
from torch import Tensor, nn

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.lastro_layers import (
    AmortisedNorm,
    DihedralConvolution,
    GrowingDropout,
    Jitter,
    NormalisedReLU,
    ScaleAndShift,
    convolution,
    fitted,
)

__all__ = ["build"]

_CUT = 45  # pixels of the centre that the second view sees
_CUT_WIDTHS = (16, 19, 23, 27, 33, 39, 47, 57, 68, 82)
_ELEMENTS = 8  # channels of a field that turns with the image


class _Fitted(nn.Sequential):
    """Layers that see images cut or padded to 101 pixels, and give (N, K)."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        stamps = fitted(images).contiguous(memory_format=torch.channels_last)
        return super().forward(stamps).flatten(1)


def _layer(channels: int, width: int, kernel: int) -> list[nn.Module]:
    return [convolution(channels, width, kernel), NormalisedReLU()]


def _pool(width: int) -> list[nn.Module]:
    return [nn.MaxPool2d(2), ScaleAndShift(width, 0.83, -0.92), AmortisedNorm(width)]


def _baseline(bands: int, outputs: int) -> list[nn.Module]:
    """Return the layers of the baseline, which see 101 pixels and end with (N, K, 1, 1)."""
    layers: list[nn.Module] = []
    channels = bands
    for width, kernel in ((16, 4), (32, 3), (64, 3)):
        layers += [*_layer(channels, width, kernel), *_layer(width, width, 3)]
        layers += _pool(width)
        channels = width
    return [
        *layers,
        GrowingDropout(),
        *_layer(64, 128, 3),
        GrowingDropout(),
        *_layer(128, 128, 3),
        AmortisedNorm(128),
        GrowingDropout(),
        *_layer(128, 1024, 5),
        GrowingDropout(),
        *_layer(1024, 1024, 1),
        GrowingDropout(),
        *_layer(1024, 1024, 1),
        AmortisedNorm(1024),
        convolution(1024, outputs, 1),
    ]


def _cut(bands: int, outputs: int) -> list[nn.Module]:
    """Return the layers of the view of 45 pixels, which end with (N, K, 1, 1)."""
    layers: list[nn.Module] = []
    channels = bands
    for k, width in enumerate(_CUT_WIDTHS, start=1):
        layers += _layer(channels, width, 5)
        if k in (3, 6, 9):
            layers.append(AmortisedNorm(width))
        channels = width
    return [
        *layers,
        GrowingDropout(),
        *_layer(channels, 256, 5),
        GrowingDropout(),
        *_layer(256, 512, 1),
        GrowingDropout(),
        *_layer(512, 512, 1),
        AmortisedNorm(512),
        convolution(512, outputs, 1),
    ]


class _Views(nn.Module):
    """Two networks, of the stamp and of its centre at full resolution, joined by three layers."""

    def __init__(self, bands: int, outputs: int) -> None:
        super().__init__()
        self.jitter = Jitter()
        self.stamp = nn.Sequential(*_baseline(bands, 2))
        self.centre = nn.Sequential(*_cut(bands, 2))
        self.joint = nn.Sequential(
            *_layer(4, 8, 1), *_layer(8, 8, 1), convolution(8, outputs, 1)
        )

    @override
    def forward(self, images: Tensor) -> Tensor:
        stamps = self.jitter(fitted(images))
        answers = [self.stamp(stamps), self.centre(fitted(stamps, _CUT))]
        return self.joint(torch.cat(answers, dim=1)).flatten(1)


def _fields(channels: int, width: int, kernel: int) -> list[nn.Module]:
    """Return a convolution of fields with its activation; both widths count channels."""
    return [
        DihedralConvolution(channels, width // _ELEMENTS, kernel),
        NormalisedReLU(),
    ]


def _norm(width: int) -> AmortisedNorm:
    return AmortisedNorm(width // _ELEMENTS, copies=_ELEMENTS)


def _pool_fields(width: int) -> list[nn.Module]:
    return [nn.MaxPool2d(2), ScaleAndShift(width // _ELEMENTS, 0.77, -1.0)]


class _Invariants(nn.Module):
    """Outputs (N, K, 1, 1) that do not depend on the element of the group."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.linear = convolution(channels // _ELEMENTS, outputs, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        fields = x.unflatten(1, (-1, _ELEMENTS)).sum(2) / _ELEMENTS**0.5
        return self.linear(fields)


def _invariant(bands: int, outputs: int) -> list[nn.Module]:
    """Return the layers of the baseline with fields that turn with the image."""
    lifting = DihedralConvolution(bands, 32 // _ELEMENTS, 4, regular=False)
    layers: list[nn.Module] = [lifting, NormalisedReLU()]
    layers += [*_fields(32, 32, 3), *_pool_fields(32), _norm(32)]
    for channels, width in ((32, 64), (64, 128)):
        layers += [*_fields(channels, width, 3), *_fields(width, width, 3)]
        layers += [*_pool_fields(width), _norm(width)]
    return [
        *layers,
        GrowingDropout(),
        *_fields(128, 256, 3),
        GrowingDropout(),
        *_fields(256, 256, 3),
        _norm(256),
        GrowingDropout(),
        *_fields(256, 1024, 5),
        GrowingDropout(),
        *_fields(1024, 2048, 1),
        GrowingDropout(),
        *_fields(2048, 2048, 1),
        _norm(2048),
        _Invariants(2048, outputs),
    ]


class _Residual(nn.Module):
    """Convolutions beside a shortcut, their sum divided by the square root of 2 and activated."""

    def __init__(self, channels: int, width: int, convolutions: int) -> None:
        super().__init__()
        layers = _layer(channels, width, 3)
        for _ in range(convolutions - 2):
            layers += _layer(width, width, 3)
        self.layers = nn.Sequential(*layers, convolution(width, width, 3))
        self.edge = convolutions  # pixels that convolutions without padding take
        self.shortcut = nn.Sequential()
        if channels != width:
            self.shortcut = nn.Sequential(convolution(channels, width, 1))
        self.activation = NormalisedReLU()

    @override
    def forward(self, x: Tensor) -> Tensor:
        cut = x[..., self.edge : -self.edge, self.edge : -self.edge]
        return self.activation((self.shortcut(cut) + self.layers(x)) / 2**0.5)


def _residual(bands: int, outputs: int) -> list[nn.Module]:
    """Return the layers of the residual network, which end with (N, K, 1, 1)."""
    layers = [*_layer(bands, 16, 2), AmortisedNorm(16)]
    layers += [_Residual(16, 16, 2), AmortisedNorm(16), _Residual(16, 16, 2), *_pool(16)]
    layers += [_Residual(16, 32, 3), AmortisedNorm(32), _Residual(32, 32, 2), *_pool(32)]
    layers += [GrowingDropout(), _Residual(32, 64, 2), AmortisedNorm(64)]
    layers += [_Residual(64, 92, 2), AmortisedNorm(92), GrowingDropout()]
    layers += [_Residual(92, 128, 3), AmortisedNorm(128), GrowingDropout()]
    for channels, kernel in ((128, 4), (1024, 1)):
        layers += [*_layer(channels, 1024, kernel), AmortisedNorm(1024), GrowingDropout()]
    layers += [*_layer(1024, 1024, 1), AmortisedNorm(1024)]
    return [*layers, convolution(1024, outputs, 1)]


_LAYERS = {"baseline": _baseline, "invariant": _invariant, "residual": _residual}


def build(images: ImageDescription, outputs: int, variant: str) -> nn.Module:
    """Build a lens finder of LASTRO EPFL.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.
        variant: baseline, views, residual or invariant.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    bands = images.shape[0]
    if variant == "views":
        return _Views(bands, outputs)
    net = _Fitted(Jitter(), *_LAYERS[variant](bands, outputs))
    return net.to(memory_format=torch.channels_last)  # faster on CPUs
