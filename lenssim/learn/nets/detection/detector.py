"""What every detector gives for an image: numbers of the whole image, and a map of where."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import override

import torch
from torch import Tensor, nn

from lenssim.learn.inputs.normalise import normalisation
from lenssim.learn.nets.unet import noise_of

__all__ = ["Detector", "Explanation", "profile_distance"]

_BRIGHT = 3.0  # sigma, above which light tells the radius of a ring
_TINY = 1e-30


@dataclass(frozen=True)
class Explanation:
    """How a detector explains images.

    Args:
        residual: What remains of the scaled images, (N, C, H, W).
        score: How unusual they are (N,); None for the logarithm of the mean squared residual.
        where: What each pixel contributes, (N, C, H, W), in place of the residual in units of
            the noise.
    """

    residual: Tensor
    score: Tensor | None = None
    where: Tensor | None = None


class Detector(nn.Module):
    """From raw images (N, C, H, W) to `FACTS` and the pixels of a map, (N, 7 + C H W).

    Args:
        scale: Name of the normalisation of what the detector sees.
        in_sigma: Whether the images are in units of their noise already, as residuals are.
    """

    name = "detector"

    def __init__(self, scale: str, *, in_sigma: bool = False) -> None:
        super().__init__()
        self.scale = normalisation(scale)
        self.in_sigma = in_sigma

    @abstractmethod
    def explain(self, scaled: Tensor) -> Explanation:
        """Explain scaled images (N, C, H, W)."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        scaled = self.scale(images)
        explanation = self.explain(scaled)
        residual = explanation.residual
        unit = self._noise(scaled)
        significance = residual / unit
        chi2 = significance.square().mean((1, 2, 3))
        numbers = [
            (chi2 + _TINY).log() if explanation.score is None else explanation.score,
            chi2,
            residual.square().mean((1, 2, 3)),
            *self._conditions(images, scaled / unit),
            profile_distance(scaled, scaled - residual),
        ]
        where = significance if explanation.where is None else explanation.where
        return torch.cat([torch.stack(numbers, dim=1), where.flatten(1)], dim=1)

    def _noise(self, images: Tensor) -> Tensor:
        """Return the noise (N, C, 1, 1) of images in their unit."""
        if self.in_sigma:
            return images.new_ones((*images.shape[:2], 1, 1))
        return noise_of(images)

    def _conditions(
        self, images: Tensor, significance: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logarithms of noise and light, and the radius of the light, each (N,).

        What remains of a fit is in units of its noise. Its bright pixels are the anomaly itself, so
        they are no condition, and the numbers are constant.
        """
        noise = self._noise(images).mean((1, 2, 3))
        if self.in_sigma:
            return torch.log(noise), torch.zeros_like(noise), torch.zeros_like(noise)
        light = (significance - _BRIGHT).clamp(min=0).sum(1)
        total = light.sum((1, 2))
        radius = (light * _radii(light)).sum((1, 2)) / (total + _TINY)
        return noise.log(), (1 + total).log(), radius


def _radii(planes: Tensor) -> Tensor:
    """Return the distance (H, W) of each pixel from the middle, in pixels."""
    height, width = planes.shape[-2:]
    y = torch.arange(height, device=planes.device) - (height - 1) / 2
    x = torch.arange(width, device=planes.device) - (width - 1) / 2
    return torch.hypot(y[:, None], x[None]).to(planes)


def profile_distance(images: Tensor, answers: Tensor) -> Tensor:
    """Return the first Wasserstein distance (N,) of the light by radius, in pixels.

    Both profiles count light above zero in rings of one pixel, and are scaled to a sum of one.
    """
    rings = _radii(images).round().long().flatten()
    cumulative = []
    for planes in (images, answers):
        light = planes.clamp(min=0).sum(1).flatten(1).double()
        profile = light.new_zeros((len(light), int(rings.max()) + 1))
        profile.index_add_(1, rings, light)
        shares = profile / (profile.sum(1, keepdim=True) + _TINY)
        cumulative.append(shares.cumsum(1))
    return (cumulative[0] - cumulative[1]).abs().sum(1).to(images)
