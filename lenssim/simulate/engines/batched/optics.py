"""Optics: from a pixel's rays to its flux, and the blur of the PSF."""

from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from lenssim.simulate.instruments import Instrument

__all__ = ["blur", "pixel_flux", "ray_grid"]

_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))


@lru_cache(maxsize=8)
def ray_grid(num_pix: int, pixel_scale: float, supersampling: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (num_pix^2 supersampling^2,) float64 [arcsec] of a regular grid of rays, row by row."""
    side, step = num_pix * supersampling, pixel_scale / supersampling
    axis = (np.arange(side) - (side - 1) / 2) * step
    x, y = np.meshgrid(axis, axis)
    return x.ravel(), y.ravel()


def pixel_flux(brightness: Tensor, num_pix: int, pixel_scale: float, supersampling: int) -> Tensor:
    """Flux (N, H, W) [e-/s] of pixels from the brightness (N, rays) [e-/s/arcsec^2] of a regular grid of rays."""
    rays = brightness.reshape(-1, num_pix, supersampling, num_pix, supersampling)
    return rays.mean(dim=(2, 4)) * pixel_scale**2 if supersampling > 1 else rays[:, :, 0, :, 0] * pixel_scale**2


def blur(images: Tensor, instrument: Instrument) -> Tensor:
    """Images (N, H, W) convolved with the instrument's Gaussian PSF: one matrix product an axis."""
    matrix = _blur_matrix(instrument).to(images)
    return matrix @ images @ matrix.T


@lru_cache(maxsize=8)
def _blur_matrix(instrument: Instrument) -> Tensor:
    """Matrix (H, H) that filters one axis as scipy's gaussian_filter does, edges continued."""
    sigma = instrument.psf.fwhm * _SIGMA_PER_FWHM / instrument.pixel_scale
    identity = np.eye(instrument.num_pix)
    filtered = gaussian_filter1d(identity, sigma, axis=0, mode="nearest", truncate=instrument.psf.truncation)
    return torch.from_numpy(filtered)
