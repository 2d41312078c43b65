"""A window of a field as the detection sees it: without background, in units of noise, filtered."""

from dataclasses import dataclass

import numpy as np

from lenssim.sky.fields.field import BandWindow, WideField, Window
from lenssim.sky.fields.mesh import BackgroundMesh
from lenssim.sky.fields.request import ExtractRequest

__all__ = ["REACH", "FilteredWindow", "Settings", "filtered_window", "settings_of"]

REACH = 4.0  # sigmas of the filter
_FILTER = 2.5  # pixels: FWHM of the filter by default
_NARROWEST = 1.2  # pixels
_FWHM = 2.354820045


@dataclass(frozen=True)
class Settings:
    """Lengths of a detection in pixels.

    Attributes:
        request: What was asked for.
        filter_sigma: Sigma of the Gaussian filter.
        aperture: Radius of the apertures.
        guard: What must lie around a blob so that the edge of a window does not matter.
    """

    request: ExtractRequest
    filter_sigma: float
    aperture: float
    guard: int


def settings_of(
    request: ExtractRequest, pixel_scale: float, psf_fwhm: float | None = None
) -> Settings:
    """Return the settings for a field.

    Args:
        request: What was asked for.
        pixel_scale: Side of a pixel of the field [arcsec].
        psf_fwhm: Width of its PSF in pixels, if it is known.
    """
    fwhm = max(psf_fwhm or _FILTER, _NARROWEST)
    if request.filter_fwhm is not None:
        fwhm = request.filter_fwhm / pixel_scale
    sigma = fwhm / _FWHM
    aperture = request.aperture / pixel_scale
    guard = int(np.ceil(max(2 * REACH * sigma, aperture, 3 * sigma))) + 2
    return Settings(request, sigma, aperture, guard)


@dataclass(frozen=True)
class FilteredWindow:
    """A window as the detection sees it.

    Attributes:
        window: The window.
        bands: Its bands, with the background subtracted from their flux.
        sigma: Rms (H, W) of each band.
        filtered: Sum of all bands in units of its rms, filtered, float32 (H, W).
        saturated: Which pixels are saturated in any band.
        reddest: The last band in units of its rms (H, W).
        mask: Which pixels no band saw.
    """

    window: Window
    bands: list[BandWindow]
    sigma: list[np.ndarray]
    filtered: np.ndarray
    saturated: np.ndarray
    reddest: np.ndarray
    mask: np.ndarray


def filtered_window(
    field: WideField, meshes: list[BackgroundMesh], window: Window, settings: Settings
) -> FilteredWindow:
    """Read a window, subtract its background and filter it."""
    from scipy.ndimage import gaussian_filter

    total = np.zeros(window.shape)
    count = np.zeros(window.shape)
    bands = []
    sigmas = []
    saturated = np.zeros(window.shape, bool)
    for band, mesh in zip(field.read(window), meshes, strict=True):
        sigma = band.sigma
        if sigma is None:
            sigma = mesh.sigma(window.rows, window.columns)
        flux = np.where(
            band.mask, band.flux - mesh.background(window.rows, window.columns), 0.0
        )
        reddest = np.where(band.mask, flux / np.where(band.mask, sigma, 1.0), 0.0)
        total += reddest
        count += band.mask
        saturated |= band.saturated
        bands.append(BandWindow(flux, band.mask, band.sigma, band.saturated))
        sigmas.append(np.where(band.mask, sigma, 0.0))
    filtered = gaussian_filter(
        (total / np.sqrt(count.clip(min=1))).astype(np.float32),
        settings.filter_sigma,
        mode="constant",
        truncate=REACH,
    )
    return FilteredWindow(window, bands, sigmas, filtered, saturated, reddest, count == 0)
