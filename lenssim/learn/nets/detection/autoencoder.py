"""Convolutional autoencoders as published for DeepLense: an image through a code and back.

Stamps of 100 pixels and more get the layers of Alexander et al. (2020): strides of three, ReLU, a
code of 1,000. Smaller ones get those of its successor for Models II and III: strides of two, batch
norm and PReLU, a code of 2,048.
"""

from itertools import pairwise
from typing import override

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from lenssim.learn.nets.detection.detector import Detector, Explanation

__all__ = ["Autoencoder", "VariationalAutoencoder", "discriminator", "published_latent"]

SMALLEST = 16  # pixels a side
_LARGE = 100  # pixels, from which on strides are three
_WIDTHS = (16, 32, 64)
_KERNEL = 7
_BOUNDED = ("minmax", "max")  # normalisations whose images a tanh can give
_HIDDEN = 256  # of the discriminator


def published_latent(shape: tuple[int, int, int]) -> int:
    """Return the published size of the code for images (C, H, W)."""
    return 1000 if min(shape[1:]) >= _LARGE else 2048


def _activation(width: int, stride: int) -> list[nn.Module]:
    if stride == 3:
        return [nn.ReLU()]
    return [nn.BatchNorm2d(width), nn.PReLU()]


def _sizes(shape: tuple[int, int, int], stride: int) -> list[tuple[int, int]]:
    """Return the pixels after each convolution, those of the image first."""
    height, width = shape[1:]
    sizes = [(height, width)]
    for _ in range(2):
        height = (height + 2 - _KERNEL) // stride + 1
        width = (width + 2 - _KERNEL) // stride + 1
        sizes.append((height, width))
    kernel = min(_KERNEL, height, width)
    sizes.append((height - kernel + 1, width - kernel + 1))
    return sizes


def _encoder(shape: tuple[int, int, int], stride: int) -> nn.Sequential:
    """Return three convolutions from images to numbers."""
    sizes = _sizes(shape, stride)
    layers: list[nn.Module] = []
    channels = shape[0]
    for width in _WIDTHS[:2]:
        layers += [nn.Conv2d(channels, width, _KERNEL, stride, 1)]
        layers += _activation(width, stride)
        channels = width
    kernel = sizes[2][0] - sizes[3][0] + 1
    layers += [nn.Conv2d(channels, _WIDTHS[2], kernel), *_activation(_WIDTHS[2], stride)]
    return nn.Sequential(*layers, nn.Flatten())


def _decoder(shape: tuple[int, int, int], stride: int) -> nn.Sequential:
    """Return the mirror of the encoder, from its last pixels to images."""
    sizes = _sizes(shape, stride)
    kernel = sizes[2][0] - sizes[3][0] + 1
    layers: list[nn.Module] = [nn.ConvTranspose2d(_WIDTHS[2], _WIDTHS[1], kernel)]
    layers += _activation(_WIDTHS[1], stride)
    layers += [_upwards(_WIDTHS[1], _WIDTHS[0], sizes[2], sizes[1], stride)]
    layers += _activation(_WIDTHS[0], stride)
    layers += [_upwards(_WIDTHS[0], shape[0], sizes[1], sizes[0], stride)]
    return nn.Sequential(*layers)


def _upwards(
    channels: int, width: int, small: tuple[int, int], large: tuple[int, int], stride: int
) -> nn.ConvTranspose2d:
    """Return a convolution that enlarges; its last kernel is 6 where the published one is."""
    paddings = [
        wide - ((narrow - 1) * stride - 2 + _KERNEL)
        for narrow, wide in zip(small, large, strict=True)
    ]
    kernel = _KERNEL
    if width not in _WIDTHS and stride == 3 and max(paddings) + 1 < stride:
        kernel = 6
        paddings = [padding + 1 for padding in paddings]
    return nn.ConvTranspose2d(
        channels, width, kernel, stride, 1, (paddings[0], paddings[1])
    )


class Autoencoder(Detector):
    """What a code of an image leaves of it.

    Args:
        scale: Name of the normalisation.
        shape: Bands, rows and columns of the images.
        latent: Size of the code.
        in_sigma: Whether the images are in units of their noise already.
    """

    codes_in_encoder = 1

    def __init__(
        self,
        scale: str,
        shape: tuple[int, int, int],
        latent: int,
        *,
        in_sigma: bool = False,
    ) -> None:
        super().__init__(scale, in_sigma=in_sigma)
        stride = 3 if min(shape[1:]) >= _LARGE else 2
        rows, columns = _sizes(shape, stride)[-1]
        numbers = _WIDTHS[-1] * rows * columns
        convolutions = _encoder(shape, stride)
        self.encoder = nn.Sequential(
            convolutions, nn.Linear(numbers, self.codes_in_encoder * latent)
        )
        unflat = nn.Unflatten(1, (_WIDTHS[-1], rows, columns))
        bound = nn.Tanh() if scale in _BOUNDED else nn.Identity()
        self.decoder = nn.Sequential(
            nn.Linear(latent, numbers), unflat, _decoder(shape, stride), bound
        )

    def code(self, scaled: Tensor) -> Tensor:
        """Return the codes (N, latent) of scaled images."""
        return self.encoder(scaled)

    @override
    def explain(self, scaled: Tensor) -> Explanation:
        return Explanation(scaled - self.decoder(self.code(scaled)))

    def loss(self, scaled: Tensor) -> Tensor:
        """Return the mean squared residual of scaled images."""
        return mse_loss(self.decoder(self.code(scaled)), scaled)


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose code has a mean and a spread (Kingma & Welling 2014)."""

    codes_in_encoder = 2

    @override
    def code(self, scaled: Tensor) -> Tensor:
        return self.encoder(scaled).chunk(2, dim=1)[0]

    def elbo_loss(self, scaled: Tensor, weight: float) -> Tensor:
        """Return the mean squared residual, and the weighted divergence from the prior.

        Args:
            scaled: Images (N, C, H, W).
            weight: Weight of the divergence in nats a pixel.
        """
        mean, log_variance = self.encoder(scaled).chunk(2, dim=1)
        log_variance = log_variance.clamp(-20, 10)
        code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        pixels = scaled[0].numel()
        return mse_loss(self.decoder(code), scaled) + weight * divergence.mean() / pixels


def discriminator(latent: int) -> nn.Sequential:
    """Return a network that tells codes from draws of the prior, as a logit (N, 1)."""
    sizes = (latent, _HIDDEN, _HIDDEN)
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(_HIDDEN, 1))
