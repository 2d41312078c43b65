"""Instruments: one band of a camera, with the stamp that it takes."""

from collections.abc import Mapping

import numpy as np
from pydantic import Field, model_validator

from lenssim.record import Record
from lenssim.simulate.instruments.detector import Detector
from lenssim.simulate.psf import PSF, GaussianPSF, MoffatPSF
from lenssim.simulate.psf.choice import psf_values

__all__ = ["Band", "Instrument", "Stamp"]


class Stamp(Record):
    """The grid of pixels that a camera's images lie on, and what the camera is called."""

    name: str
    summary: str = ""
    source: str = ""
    num_pix: int = Field(default=64, ge=4, le=4096)
    pixel_scale: float = Field(ge=1e-4, le=100)


class Band(Detector):
    """What one band's images depend on besides the light: zero point, exposure, noise, PSF.

    Fluxes are in e-/s. The background is either a sky (mag/arcsec^2) with read noise, or a
    fixed rms per pixel.
    """

    zero_point: float | None = Field(default=None, ge=-10, le=50)
    exposure_time: float = Field(ge=1e-3, le=1e8)
    num_exposures: int = Field(default=1, ge=1, le=1_000_000)
    sky_brightness: float | None = Field(default=None, ge=-10, le=60)
    read_noise: float = Field(default=0.0, ge=0, le=1e6)
    gain: float = Field(default=1.0, ge=1e-6, le=1e6)
    background_rms: float | None = Field(default=None, ge=0, le=1e12)
    psf: PSF

    @model_validator(mode="after")
    def _one_background(self) -> "Band":
        if (self.sky_brightness is None) == (self.background_rms is None):
            raise ValueError(
                "give either sky_brightness (with a zero_point) or background_rms"
            )
        if self.sky_brightness is not None and self.zero_point is None:
            raise ValueError("sky_brightness needs a zero_point")
        return self


class Instrument(Band, Stamp):  # in this order: it decides about the order of the fields
    """One band of one camera, with the stamp it takes.

    Example:
        >>> camera = Instrument(
        ...     name="toy", pixel_scale=0.1, exposure_time=100, background_rms=0.1, psf={"fwhm": 0.2}
        ... )
        >>> camera.instruments == (camera,), camera.band_names
        (True, ())
    """

    @model_validator(mode="after")
    def _stamp_holds_psf(self) -> "Instrument":
        side = self.num_pix * self.pixel_scale
        width = 0.0
        if isinstance(self.psf, GaussianPSF | MoffatPSF):
            width = self.psf.width
        shares = self.exposure_shares()
        if shares is not None and shares.shape != (self.num_pix, self.num_pix):
            raise ValueError(
                f"the exposure map has {len(shares)} pixels a side, and the stamp {self.num_pix}"
            )
        if width > side:
            raise ValueError(
                f"psf.fwhm of {width:g} arcsec is wider than the stamp, {self.num_pix} pixels of a "
                f"pixel_scale of {self.pixel_scale:g} arcsec"
            )
        return self

    @property
    def instruments(self) -> tuple["Instrument", ...]:
        """The instrument of each band: this one."""
        return (self,)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands: none, because the only band needs no name."""
        return ()

    def of_image(self, params: Mapping[str, np.ndarray], i: int) -> "Instrument":
        """Return the instrument of one image, which has one PSF.

        Args:
            params: Columns (N,) of the scenes.
            i: Row of the image.

        Raises:
            ConfigError: There are several PSFs, and the columns do not say which.
        """
        values = psf_values(self.psf, params)
        if values is None:
            return self
        return self.model_copy(update={"psf": self.psf.at(float(values[i]))})

    def total_exposure(self, exposure_time: np.ndarray | float | None = None) -> np.ndarray:
        """Exposure in s, summed over exposures; `exposure_time` replaces the instrument's single exposure."""
        single = self.exposure_time if exposure_time is None else exposure_time
        return np.asarray(single, dtype=np.float64) * self.num_exposures

    @property
    def native(self) -> float:
        """Side of the detector's pixels in arcsec."""
        if self.native_scale is None:
            return self.pixel_scale
        return self.native_scale

    def background(self, exposure_time: np.ndarray | float | None = None) -> np.ndarray:
        """Return the rms of the background in e-/s per pixel, as a weight map has it.

        It is sqrt(n read_noise^2 f + (sky s^2 + dark f) T) / T, or the fixed one, for pixels of
        side s that were native pixels of side p, with f = (s / p)^2.
        """
        total = self.total_exposure(exposure_time)
        if self.background_rms is not None:
            return np.full_like(total, self.background_rms)
        assert self.sky_brightness is not None  # one background is always stated
        assert self.zero_point is not None
        rate = 10 ** (-0.4 * (self.sky_brightness - self.zero_point)) * self.pixel_scale**2
        reads = self.num_exposures * self.read_noise**2
        share = (self.pixel_scale / self.native) ** 2
        if share != 1:
            reads *= share
        if self.dark:
            rate += self.dark * share
        return np.sqrt(reads + rate * total) / total

    def saturation_flux(self, exposure_time: np.ndarray | float) -> np.ndarray:
        """Return the flux in e-/s per pixel at which a native pixel is full.

        Args:
            exposure_time: Single exposures in s.
        """
        assert self.saturation is not None
        share = (self.pixel_scale / self.native) ** 2
        sky = 0.0
        if self.sky_brightness is not None and self.zero_point is not None:
            sky = 10 ** (-0.4 * (self.sky_brightness - self.zero_point))
        full = self.saturation / np.asarray(exposure_time, dtype=np.float64) - self.dark
        return full * share - sky * self.pixel_scale**2

    @property
    def taps(self) -> np.ndarray:
        """Weights (K,) along each axis by which resampling correlates its noise."""
        return self.resampling.taps(self.native, self.pixel_scale)

    @property
    def pixel_loss(self) -> float:
        """Rms of a pixel's noise over that of the weight map; 2/3 where drizzled, 1 if white."""
        return self.resampling.loss(self.native, self.pixel_scale)
