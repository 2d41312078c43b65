"""Optics: from a pixel's rays to its flux, and the blur of the PSF."""

from functools import lru_cache

import numpy as np
import torch
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lenssim.simulate.instruments import Instrument, PixelPSF

__all__ = ["blur", "pixel_flux", "pixel_sum"]

_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))


def pixel_flux(brightness: Tensor, supersampling: int, pixel_scale: float) -> Tensor:
    """Flux (N, H, W) [e-/s] of pixels from the brightness (N, s H, s W) [e-/s/arcsec^2] of a regular grid of rays."""
    return pixel_sum(brightness, supersampling) * (pixel_scale / supersampling) ** 2


def blur(images: Tensor, instrument: Instrument) -> Tensor:
    """Images (N, H, W) as the camera takes them, of `images` at the PSF's own sampling."""
    if isinstance(instrument.psf, PixelPSF):
        return pixel_sum(_convolved(images, instrument.psf), instrument.psf.supersampling)
    matrix = _blur_matrix(instrument).to(images)  # one matrix product an axis
    return matrix @ images @ matrix.T


def pixel_sum(images: Tensor, factor: int) -> Tensor:
    """Sums (N, H, W) of `factor` x `factor` fine pixels."""
    if factor == 1:
        return images
    return images.unflatten(2, (-1, factor)).unflatten(1, (-1, factor)).sum(dim=(2, 4))


def _convolved(images: Tensor, psf: PixelPSF) -> Tensor:
    """Images convolved with a kernel, dark beyond their edges; one Fourier transform, padded so that nothing wraps."""
    kernel = torch.from_numpy(psf.array()).to(images)
    sizes = [next_fast_len(side + len(kernel) - 1, real=True) for side in images.shape[1:]]
    product = torch.fft.rfft2(images, sizes) * torch.fft.rfft2(kernel, sizes)
    margin = len(kernel) // 2
    whole = torch.fft.irfft2(product, sizes)
    return whole[
        :, margin : margin + images.shape[1], margin : margin + images.shape[2]
    ].contiguous()


@lru_cache(maxsize=8)
def _blur_matrix(instrument: Instrument) -> Tensor:
    """Matrix (H, H) that filters one axis as scipy's gaussian_filter does, edges continued."""
    sigma = instrument.psf.fwhm * _SIGMA_PER_FWHM / instrument.pixel_scale
    identity = np.eye(instrument.num_pix)
    filtered = gaussian_filter1d(
        identity, sigma, axis=0, mode="nearest", truncate=instrument.psf.truncation
    )
    return torch.from_numpy(filtered)
