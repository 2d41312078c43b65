"""The PSF of a telescope in space, from its aperture: no data are needed."""

from functools import lru_cache
from typing import Annotated, override

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from lenssim.simulate.psf.aperture import PUPIL_SIDE, aperture, ring_count, wave_front
from lenssim.simulate.psf.kernels import MAX_SIDE, normalised
from lenssim.simulate.psf.point_spread import PointSpread

__all__ = ["OpticalPSF"]

_ARCSEC = np.pi / 180 / 3600  # rad
_WAVELENGTHS = 6  # over a band
_RADIUS = 10.0  # of the kernel, in wavelengths per diameter
_SAMPLES = 4  # points of the sharp image in lambda / D, at least
_DIGITS = (
    2.0**26
)  # kernels are rounded to this part of their peak: the same on all machines


def _rising(band: tuple[float, float]) -> tuple[float, float]:
    if not 0.05 <= band[0] <= band[1] <= 100:
        raise ValueError(
            f"a band is two rising wavelengths in micrometres, got {band[0]:g}, {band[1]:g}"
        )
    return band


class OpticalPSF(PointSpread):
    """The PSF of an aperture: |Fourier transform of A exp(2 pi i W / lambda)|^2, band-averaged.

    A is a disc or rings of hexagons with a dark middle and struts. W is a random wave front of
    `wfe` nm rms, whose amplitudes fall with spatial frequency as f^-1.5. The mean of six
    wavelengths is blurred by the jitter, a Gaussian, and integrated over the kernel's pixels.
    With `draw: N` there are N wave fronts, and each image draws one: the column `psf_index`.

    Attributes:
        diameter: Diameter of the aperture in m.
        band: Shortest and longest wavelength in micrometres.
        obscuration: Diameter of the dark middle, of the whole diameter.
        struts: Number of struts of the secondary mirror.
        segments: Number of hexagons around a missing one, such as 18; 0 for a disc.
        wfe: Wave-front error in nm rms.
        jitter: Rms of the pointing in each axis, in arcsec.
        screen: Number of the wave front; the first one of a set.
        draw: How many wave fronts a set has; None for one PSF in all images.
        radius: Half the side of the kernel in arcsec; None for 10 wavelengths per diameter.

    Example:
        >>> vis = OpticalPSF(diameter=1.2, band=(0.55, 0.90), obscuration=0.35, struts=3)
        >>> vis.kernel_at(0.1).shape
        (33, 33)
    """

    diameter: float = Field(ge=0.01, le=1000)
    band: Annotated[tuple[float, float], AfterValidator(_rising)]
    obscuration: float = Field(default=0.0, ge=0, le=0.9)
    struts: int = Field(default=0, ge=0, le=12)
    segments: int = Field(default=0, ge=0, le=1000)
    wfe: float = Field(default=0.0, ge=0, le=1000)
    jitter: float = Field(default=0.0, ge=0, le=100)
    screen: int = Field(default=0, ge=0, le=2**31)
    draw: int | None = Field(default=None, ge=1, le=100_000)
    radius: float | None = Field(default=None, gt=0, le=1e4)
    supersampling: int = Field(default=1, ge=1, le=12)

    @model_validator(mode="after")
    def _has_rings(self) -> "OpticalPSF":
        if self.segments:
            ring_count(self.segments)
        if self.draw is not None and self.wfe == 0:
            raise ValueError("draw: N draws wave fronts, so it needs a wfe above 0")
        return self

    @property
    @override
    def column(self) -> str | None:
        return None if self.draw is None else "psf_index"

    @override
    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        assert self.draw is not None  # it has a column
        return rng.integers(self.draw, size=count).astype(np.float64)

    @override
    def value_bounds(self) -> tuple[float, float]:
        return 0.0, float((self.draw or 1) - 1)

    @override
    def at(self, value: float) -> "OpticalPSF":
        screen = self.screen + int(value)
        return self.model_copy(update={"screen": screen, "draw": None})

    @override
    def fixed(self) -> "OpticalPSF":
        return self.at(0)

    @override
    def kernel_at(self, pixel_scale: float) -> np.ndarray:
        return _optical_kernel(self, pixel_scale / self.supersampling)


@lru_cache(maxsize=512)
def _optical_kernel(psf: OpticalPSF, pixel: float) -> np.ndarray:
    """Return the kernel (K, K) at pixels of `pixel` arcsec."""
    diffraction = psf.band[1] * 1e-6 / psf.diameter / _ARCSEC
    radius = psf.radius
    if radius is None:
        radius = _RADIUS * diffraction + 3 * psf.jitter
    half = min(int(np.ceil(radius / pixel)), MAX_SIDE // 2)
    finest = psf.band[0] * 1e-6 / psf.diameter / _ARCSEC
    samples = int(np.ceil(pixel * _SAMPLES / finest))
    samples += samples % 2 == 0  # odd: one in the middle
    side = (2 * half + 1) * samples
    image = _band_image(psf, side, pixel / samples)
    if psf.jitter:
        from scipy.ndimage import gaussian_filter

        image = gaussian_filter(image, psf.jitter * samples / pixel, mode="constant")
    kernel = image.reshape(2 * half + 1, samples, 2 * half + 1, samples).sum((1, 3))
    kernel = np.round(kernel * (_DIGITS / kernel.max())) / _DIGITS
    kernel = normalised(kernel)
    kernel.flags.writeable = False
    return kernel


def _band_image(psf: OpticalPSF, side: int, spacing: float) -> np.ndarray:
    """Return the image (S, S) of a point at S angles a `spacing` apart, averaged over the band.

    It is a matrix Fourier transform (Soummer et al. 2007): two products with the matrix of
    exp(-2 pi i u theta / lambda).
    """
    inside = aperture(psf.obscuration, psf.struts, psf.segments)
    error = wave_front(inside, psf.wfe * 1e-9, psf.screen)
    low, high = psf.band
    wavelengths = low + (high - low) * (np.arange(_WAVELENGTHS) + 0.5) / _WAVELENGTHS
    image = np.zeros((side, side))
    for wavelength in wavelengths * 1e-6:
        field = inside * np.exp(2j * np.pi / wavelength * error)
        matrix = _fourier_matrix(psf.diameter, side, spacing, float(wavelength))
        image += np.abs(matrix @ field @ matrix.T / wavelength) ** 2
    return image


@lru_cache(maxsize=2 * _WAVELENGTHS)
def _fourier_matrix(
    diameter: float, side: int, spacing: float, wavelength: float
) -> np.ndarray:
    """Return exp(-2 pi i u theta / lambda) of S angles and the points across the aperture.

    The wave fronts of a set share it.
    """
    angles = (np.arange(side) - (side - 1) / 2) * spacing
    u = ((np.arange(PUPIL_SIDE) + 0.5) / PUPIL_SIDE - 0.5) * diameter
    return np.exp(-2j * np.pi / wavelength * np.outer(angles * _ARCSEC, u))
