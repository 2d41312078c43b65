"""Optics: from a pixel's rays to its flux, and the blur of the PSF."""

from functools import lru_cache

import numpy as np
import torch
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lenssim.simulate.engines.batched.banded import BandedBlur, banded_blur
from lenssim.simulate.instruments import GaussianPSF, Instrument
from lenssim.simulate.psf import PointSpread

__all__ = ["banded", "blur", "pixel_flux", "pixel_sum"]

_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))


def pixel_flux(brightness: Tensor, supersampling: int, pixel_scale: float) -> Tensor:
    """Return the flux (N, H, W) [e-/s] of pixels.

    Args:
        brightness: Brightness (N, s H, s W) [e-/s/arcsec^2] of a regular grid of rays.
        supersampling: s, the rays a side of a pixel.
        pixel_scale: Side of a pixel [arcsec].
    """
    return pixel_sum(brightness, supersampling) * (pixel_scale / supersampling) ** 2


def blur(
    images: Tensor, instrument: Instrument, values: np.ndarray | None = None
) -> Tensor:
    """Return images as the camera takes them.

    Args:
        images: Flux (N, s H, s W) at the PSF's own sampling s.
        instrument: The camera.
        values: What tells which PSF each image has (N,), see `psf_values`.

    Returns:
        Images (N, H, W).
    """
    psf = instrument.psf
    if values is not None:
        return pixel_sum(_convolved_by_many(images, instrument, values), psf.supersampling)
    if not isinstance(psf, GaussianPSF):
        kernel = psf.kernel_at(instrument.pixel_scale)
        return pixel_sum(_convolved(images, kernel), psf.supersampling)
    matrix = _blur_matrix(psf, instrument.pixel_scale, instrument.num_pix).to(images)
    return matrix @ images @ matrix.T


def banded(instrument: Instrument, count: int) -> BandedBlur | None:
    """Return the blur of a camera's Gaussian PSF in single precision, compiled.

    Args:
        instrument: The camera.
        count: Number of images that `blur` is given at once; its bits are those.

    Returns:
        The blur; None for another PSF, and where `blur` itself has to serve.
    """
    if not isinstance(instrument.psf, GaussianPSF):
        return None
    return _banded(instrument.psf, instrument.pixel_scale, instrument.num_pix, count)


@lru_cache(maxsize=16)
def _banded(
    psf: GaussianPSF, pixel_scale: float, size: int, count: int
) -> BandedBlur | None:
    matrix = _blur_matrix(psf, pixel_scale, size)
    return banded_blur(matrix.to(torch.float32).numpy(), count)


def pixel_sum(images: Tensor, factor: int) -> Tensor:
    """Return the sums (N, H, W) of `factor` x `factor` fine pixels."""
    if factor == 1:
        return images
    return images.unflatten(2, (-1, factor)).unflatten(1, (-1, factor)).sum(dim=(2, 4))


def _convolved(images: Tensor, weights: np.ndarray) -> Tensor:
    """Return images convolved with a kernel (K, K), dark beyond their edges.

    One Fourier transform, padded so that nothing wraps.
    """
    kernel = torch.from_numpy(weights.copy()).to(images)
    sizes = [next_fast_len(side + len(kernel) - 1, real=True) for side in images.shape[1:]]
    product = torch.fft.rfft2(images, sizes) * torch.fft.rfft2(kernel, sizes)
    margin = len(kernel) // 2
    convolved = torch.fft.irfft2(product, sizes)
    return convolved[
        :, margin : margin + images.shape[1], margin : margin + images.shape[2]
    ].contiguous()


def _convolved_by_many(
    images: Tensor, instrument: Instrument, values: np.ndarray
) -> Tensor:
    """Return images (N, H, W), each convolved with its own kernel, dark beyond their edges."""
    psf = instrument.psf
    side = len(psf.at(float(values[0])).kernel_at(instrument.pixel_scale))
    sizes = tuple(
        next_fast_len(length + side - 1, real=True) for length in images.shape[1:]
    )
    options = (instrument.pixel_scale, sizes, images.dtype, images.device)
    # one at a time, so that a kernel's bits do not depend on the others
    transforms = [_transform(psf, float(value), *options) for value in values]
    product = torch.fft.rfft2(images, sizes) * torch.stack(transforms)
    margin = side // 2
    rows = slice(margin, margin + images.shape[1])
    columns = slice(margin, margin + images.shape[2])
    return torch.fft.irfft2(product, sizes)[:, rows, columns].contiguous()


@lru_cache(maxsize=512)
def _transform(
    psf: PointSpread,
    value: float,
    pixel_scale: float,
    sizes: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Return the Fourier transform of one kernel of a PSF."""
    kernel = torch.from_numpy(psf.at(value).kernel_at(pixel_scale).copy())
    return torch.fft.rfft2(kernel.to(dtype).to(device), sizes)


@lru_cache(maxsize=8)
def _blur_matrix(psf: GaussianPSF, pixel_scale: float, size: int) -> Tensor:
    """Return the matrix (H, H) that filters one axis as scipy's gaussian_filter does.

    Edges are continued.
    """
    sigma = psf.fwhm * _SIGMA_PER_FWHM / pixel_scale
    identity = np.eye(size)
    filtered = gaussian_filter1d(
        identity, sigma, axis=0, mode="nearest", truncate=psf.truncation
    )
    return torch.from_numpy(filtered)
