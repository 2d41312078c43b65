"""A U-Net from images to images (Ronneberger et al. 2015), for noise and for lens light.

It sees each band in units of its own noise: asinh of the light, and what a blur of three pixels
takes away, where noise shows on bright galaxies. For each pixel it gives a change of the light as a
share of it, and a correction, so that it need not learn the range of the light.

With a noise map beside the image, the unit is that of each pixel, and the net also sees where the
map differs from its median: an exposure that ends, or a bright galaxy's photon noise.
"""

from typing import override

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from lenssim.errors import ConfigError
from lenssim.learn.inputs.description import ImageDescription

__all__ = ["SMALLEST", "UNet", "build", "noise_of"]

SMALLEST = 8  # pixels a side
_WIDTHS = (16, 32, 48, 64)  # at the stamp's resolution, half, a quarter, an eighth
_DIFFERENCE_TO_SIGMA = 1.0484  # of the median difference of two normal deviates
_BEGINNING = 0.02  # of the last layer's first weights
_CLIP = 10.0  # sigma, of what the blur takes away


def noise_of(images: Tensor) -> Tensor:
    """Return the noise (N, C, 1, 1) of images (N, C, H, W), by differences of neighbours."""
    differences = images.diff(dim=-1).abs().flatten(2).median(dim=2).values
    noise = _DIFFERENCE_TO_SIGMA * differences[..., None, None]
    return torch.where(noise > 0, noise, 1)


def _level(images: Tensor) -> Tensor:
    """Return the median (N, C, 1, 1) of the outermost pixels of images (N, C, H, W)."""
    edges = [images[..., k, :] for k in (0, -1)] + [images[..., k] for k in (0, -1)]
    return torch.cat(edges, dim=-1).median(dim=-1).values[..., None, None]


def _median(maps: Tensor) -> Tensor:
    """Return the median (N, C, 1, 1) of maps (N, C, H, W)."""
    return maps.flatten(2).median(dim=2).values[..., None, None]


def _stated(sigma: Tensor, measured: Tensor) -> Tensor:
    """Return noise maps (N, C, H, W), with the measured noise where they state none."""
    is_stated = torch.isfinite(sigma) & (sigma > 0)
    return torch.where(is_stated, sigma, measured)


def _convolutions(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
    )


class UNet(nn.Module):
    """Four resolutions, with shortcuts between the way down and the way up.

    It maps images (N, C, H, W), in any unit, to images of the same shape and unit as numbers
    (N, C H W). With noise maps it takes (N, 2 C, H, W): the images, and then their noise maps.
    """

    def __init__(self, bands: int, has_noise_map: bool = False) -> None:
        super().__init__()
        self.has_noise_map = has_noise_map
        down = []
        channels = (3 if has_noise_map else 2) * bands
        for width in _WIDTHS:
            down.append(_convolutions(channels, width))
            channels = width
        self.down = nn.ModuleList(down)
        pairs = list(zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(deep, width, 2, stride=2) for deep, width in pairs
        )
        self.merge = nn.ModuleList(_convolutions(2 * width, width) for _, width in pairs)
        self.answer = nn.Conv2d(_WIDTHS[0], 2 * bands, 1)
        with torch.no_grad():  # it begins near the image itself
            for weights in self.answer.parameters():
                weights.mul_(_BEGINNING)
        self.to(memory_format=torch.channels_last)

    @override
    def forward(self, images: Tensor) -> Tensor:
        extent: list[Tensor] = []
        if self.has_noise_map:
            images, sigma = images.chunk(2, dim=1)
            noise = _stated(sigma, noise_of(images))
            extent = [noise.log() - _median(noise).log()]
        else:
            noise = noise_of(images)
        level = _level(images)
        light = (images - level) / noise
        blurred = avg_pool2d(light, 3, stride=1, padding=1, count_include_pad=False)
        detail = (light - blurred).clamp(-_CLIP, _CLIP)
        features = torch.cat([light.asinh(), detail, *extent], dim=1)
        change, correction = self._maps(features).chunk(2, 1)
        answer = noise * ((1 + change) * light + correction)
        return (answer + level).flatten(1)

    def _maps(self, features: Tensor) -> Tensor:
        """Return maps (N, 2 C, H, W) of features of the same pixels."""
        height, width = features.shape[-2:]
        step = 2 ** (len(_WIDTHS) - 1)
        edges = (0, -width % step, 0, -height % step)
        features = pad(features, edges, mode="replicate")
        features = features.contiguous(memory_format=torch.channels_last)
        passed = []
        for number, layers in enumerate(self.down):
            if number:
                features = avg_pool2d(features, 2)
            features = layers(features)
            passed.append(features)
        passed.pop()
        for widen, merge in zip(self.up, self.merge, strict=True):
            features = merge(torch.cat([widen(features), passed.pop()], dim=1))
        return self.answer(features)[..., :height, :width].float()


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build the network.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs: that of the images' numbers, or half of it for images whose
            second half of bands are noise maps.

    Returns:
        A network from images (N, C, H, W) to (N, C H W), or to half of these numbers.

    Raises:
        ConfigError: Other outputs than images are asked for.
    """
    numbers = int(np.prod(images.shape))
    has_noise_map = 2 * outputs == numbers and images.shape[0] % 2 == 0
    if outputs != numbers and not has_noise_map:
        raise ConfigError(
            f"the net unet gives images of {images}, not {outputs} numbers; "
            "it serves lenssim train denoise",
            code="net-outputs",
            name="unet",
            outputs=outputs,
        )
    bands = images.shape[0]
    return UNet(bands // 2 if has_noise_map else bands, has_noise_map)
