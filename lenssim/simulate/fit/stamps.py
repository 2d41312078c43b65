"""Stamps: the pixels of observations as tensors, and how a model becomes pixels."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = ["Stamps", "filtered", "stamps"]


@dataclass(frozen=True)
class Stamps:
    """Square stamps of L lenses on one grid; masked pixels have the weight 0.

    Attributes:
        data: Images times weights (L, P), P = size * size, rows = y.
        weights: 1 / sigma (L, P).
        transform: Fourier transforms (L, F, F // 2 + 1) of the PSFs.
        size: Pixels a side.
        pixel_scale: Side of a pixel [arcsec].
        origin: Position of (0, 0) in pixels from the first pixel's centre, on both axes.
    """

    data: Tensor
    weights: Tensor
    transform: Tensor
    size: int
    pixel_scale: float
    origin: float

    def __len__(self) -> int:
        return len(self.data)

    def take(self, rows: Tensor) -> "Stamps":
        """Return the stamps of some rows, which may repeat."""
        names = ("data", "weights", "transform")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def weighted(self, weights: Tensor) -> "Stamps":
        """Return the same images with other weights (L, P), 0 where they had none."""
        weights = torch.where(self.weights > 0, weights, 0.0)
        return replace(self, data=self.flux * weights, weights=weights)

    @property
    def flux(self) -> Tensor:
        """The images (L, P), 0 where masked."""
        return torch.where(self.weights > 0, self.data / self.weights, 0.0)

    def rays(self, rays: int = 1) -> tuple[Tensor, Tensor]:
        """Return x and y (R,) [arcsec] of `rays` x `rays` rays a pixel, pixel by pixel.

        The rays of a pixel follow each other, so that their mean is that of the last axis.
        """
        pixels = torch.arange(self.size, dtype=torch.float64) - self.origin
        offsets = (torch.arange(rays, dtype=torch.float64) - (rays - 1) / 2) / rays
        shape = (self.size, self.size, rays, rays)
        x = (pixels[None, :, None, None] + offsets[None, None, None, :]).expand(shape)
        y = (pixels[:, None, None, None] + offsets[None, None, :, None]).expand(shape)
        scale = self.pixel_scale
        x = (x * scale).reshape(-1).to(self.data)
        y = (y * scale).reshape(-1).to(self.data)
        return x, y

    def blur(self, brightness: Tensor) -> Tensor:
        """Return brightness (L, M, P s^2), as of `rays`, through the PSF, weighted (L, M, P)."""
        return self.convolved(brightness) * self.weights[:, None]

    def convolved(self, brightness: Tensor) -> Tensor:
        """Return brightness (L, M, R) through the PSF, without weights (L, M, P)."""
        count = brightness.shape[-1] // (self.size * self.size)
        if count > 1:
            brightness = brightness.unflatten(-1, (-1, count)).mean(-1)
        images = brightness.unflatten(-1, (self.size, self.size))
        return filtered(images, self.transform[:, None]).flatten(-2)

    def unblurred(self, planes: Tensor) -> Tensor:
        """Return the transpose of `blur` at one ray a pixel, times planes (L, P)."""
        images = (planes * self.weights).unflatten(-1, (self.size, self.size))
        return filtered(images, self.transform.conj()).flatten(-2)


def filtered(images: Tensor, transform: Tensor) -> Tensor:
    """Return images (..., n, n) times a transform (..., F, F // 2 + 1), without its padding.

    Args:
        images: Images, whose sides are padded with zeros to F.
        transform: What their Fourier transforms are multiplied by.

    Example:
        >>> image = torch.eye(4, dtype=torch.float64)
        >>> filtered(image, torch.ones(6, 4, dtype=torch.complex128)).round()[0]
        tensor([1., 0., 0., 0.], dtype=torch.float64)
    """
    size = images.shape[-1]
    side = transform.shape[-2]
    spectrum = torch.fft.rfft2(images, (side, side)) * transform
    return torch.fft.irfft2(spectrum, (side, side))[..., :size, :size]


def stamps(
    images: np.ndarray,
    sigmas: np.ndarray,
    masks: np.ndarray,
    psfs: np.ndarray,
    pixel_scale: float,
    *,
    origin: float | None = None,
    device: str = "cpu",
) -> Stamps:
    """Return stamps of L lenses.

    Args:
        images: Images (L, n, n).
        sigmas: Noise maps (L, n, n).
        masks: Usable pixels (L, n, n).
        psfs: PSFs (L, k, k), k odd.
        pixel_scale: Side of a pixel [arcsec].
        origin: Position of (0, 0) [pixels]; None: the middle of the stamp.
        device: Where the numbers lie.

    Example:
        >>> one = np.ones((1, 16, 16))
        >>> made = stamps(one, one, one > 0, np.ones((1, 1, 1)), 0.1)
        >>> made.blur(torch.ones(1, 1, 256, dtype=torch.float64)).shape
        torch.Size([1, 1, 256])
    """
    size = images.shape[-1]
    weights = np.where(masks, 1 / sigmas, 0.0).reshape(len(images), -1)
    data = images.reshape(len(images), -1) * weights
    middle = (size - 1) / 2
    return Stamps(
        torch.from_numpy(data).to(device),
        torch.from_numpy(weights).to(device),
        _transforms(psfs, size).to(device),
        size,
        pixel_scale,
        middle if origin is None else origin,
    )


def _transforms(psfs: np.ndarray, size: int) -> Tensor:
    """Return the Fourier transforms of PSFs whose middle lies at the first pixel."""
    side = psfs.shape[-1]
    # what wraps round by half a PSF must fall on zeros, and no more is cut out
    padded = next_fast_len(size + side // 2, real=True)
    padded = max(padded, side)
    kernels = torch.zeros(len(psfs), padded, padded, dtype=torch.float64)
    kernels[:, :side, :side] = torch.from_numpy(np.ascontiguousarray(psfs, np.float64))
    kernels = torch.roll(kernels, (-(side // 2), -(side // 2)), (1, 2))
    return torch.fft.rfft2(kernels)
