"""What a detector and its pipeline add to a band: native pixels, dark current, resampling."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from lenssim.record import Record
from lenssim.simulate.packing import is_packed, pack, unpack
from lenssim.simulate.resampling.correlation import (
    drizzle_taps,
    resampling_loss,
    spline_taps,
)
from lenssim.simulate.resampling.measured import MeasuredNoise, read_square

__all__ = ["CosmicRays", "Depth", "Detector", "Resampling"]


class Resampling(Record):
    """How native pixels became the pixels of the image, which correlates their noise.

    `drizzle` drops each native pixel, shrunk by `pixfrac`, on the output grid. `bilinear`
    interpolates between native pixels, as SWarp may do. `measured` takes the `measured` correlation of
    real noise. `none` leaves the noise white.

    Example:
        >>> Resampling(kernel="drizzle").taps(native_scale=0.05, pixel_scale=0.05).round(4)
        array([0.2588, 0.9659])
    """

    kernel: Literal["none", "drizzle", "bilinear", "measured"] = "none"
    pixfrac: float = Field(default=1.0, ge=0.01, le=1)
    measured: MeasuredNoise | None = None

    def taps(self, native_scale: float, pixel_scale: float) -> np.ndarray:
        """Return the weights (K,) along each axis that correlate white noise; [1] for none.

        Args:
            native_scale: Side of a native pixel [arcsec].
            pixel_scale: Side of a pixel of the image [arcsec].
        """
        if self.kernel == "drizzle":
            return drizzle_taps(self.pixfrac * native_scale / pixel_scale)
        if self.kernel == "bilinear":
            return spline_taps(native_scale / pixel_scale)
        return np.ones(1)

    def loss(self, native_scale: float, pixel_scale: float) -> float:
        """Return the rms of a pixel's noise over that of the weight map; scales as in `taps`."""
        if self.measured is not None:
            return self.measured.loss
        return resampling_loss(self.taps(native_scale, pixel_scale))

    @model_validator(mode="after")
    def _has_its_noise(self) -> "Resampling":
        if (self.kernel == "measured") != (self.measured is not None):
            raise ValueError(
                "kernel: measured goes with `measured: {correlation: FILE}` or "
                "`measured: {power: FILE}`, and no other kernel does"
            )
        return self


class CosmicRays(Record):
    """Cosmic rays on native pixels: their tracks, and how many exposures must be hit.

    Attributes:
        rate: Hits per cm^2 and s.
        pixel_size: Side of a native pixel in micrometres.
        shortest: Length of the shortest tracks in micrometres.
        longest: Length of the longest ones.
        slope: Exponent of the distribution of lengths.
    """

    rate: float = Field(default=8.0, ge=0, le=1e4)
    pixel_size: float = Field(default=15.0, gt=0, le=1000)
    shortest: float = Field(default=10.0, gt=0)
    longest: float = Field(default=2000.0, gt=0)
    slope: float = Field(default=-4.33, lt=-1, ge=-20)


class Depth(Record):
    """A depth that real images or a publication state, and that a test holds.

    Attributes:
        sigma_mag: Magnitude of one sigma of a pixel's noise, m(sigma).
        m5: Magnitude of a point source at five sigma.
        tolerance: How far the instrument's own numbers may be from it, in mag.
        source: Where the depth comes from.
    """

    sigma_mag: float | None = Field(default=None, ge=10, le=45)
    m5: float | None = Field(default=None, ge=10, le=45)
    tolerance: float = Field(gt=0, le=1)
    source: str


class Detector(Record):
    """The numbers of a band that older presets do not state; their defaults change nothing.

    Attributes:
        native_scale: Side of the detector's pixels in arcsec; None for those of the image.
        dark: Dark current, with thermal light, in e-/s per native pixel.
        saturation: Electrons of a native pixel in one exposure above which it is full.
        resampling: How native pixels became those of the image.
        shot_noise: Distribution of the light's own noise under `noise: telescope`. A Poisson
            distribution is skewed below some 20 electrons a pixel, and ten times as slow.
        cosmic_rays: Cosmic rays, if they are simulated.
        dead_pixels: Share of the native pixels that give no signal.
        exposure_map: A .npy or FITS file of the share of the exposure that each pixel of the
            image has, from 0 to 1. Its numbers are taken over.
        depth: A depth to hold.
        filter: The filter whose colours of galaxies the band has, where the camera's name
            does not tell it, such as `lsst_i`.
        lenstronomy: Where lenstronomy's numbers differ, and why.
    """

    native_scale: float | None = Field(default=None, ge=1e-4, le=100)
    dark: float = Field(default=0.0, ge=0, le=1e6)
    saturation: float | None = Field(default=None, gt=0, le=1e12)
    resampling: Resampling = Resampling()
    shot_noise: Literal["gaussian", "poisson"] = "gaussian"
    cosmic_rays: CosmicRays | None = None
    dead_pixels: float = Field(default=0.0, ge=0, le=0.5)
    exposure_map: str | None = Field(default=None, repr=False)
    depth: Depth | None = None
    filter: str = Field(default="", max_length=64)
    lenstronomy: str = ""

    @field_validator("exposure_map", mode="before")
    @classmethod
    def _read_map(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None:
            return None
        if is_packed(value):
            shares = unpack(value)
        else:
            folder = Path((info.context or {}).get("folder", "."))
            shares = read_square(value, folder, "exposure map")
        if shares.ndim != 2 or shares.min() < 0 or shares.max() > 1:
            raise ValueError(
                "an exposure map has the share of the exposure of each pixel, 0 to 1, got "
                f"{shares.min():g} to {shares.max():g}"
            )
        return pack(shares)

    def exposure_shares(self) -> np.ndarray | None:
        """Return the exposure map (H, W), if there is one."""
        if self.exposure_map is None:
            return None
        return unpack(self.exposure_map)

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what an older preset does not state, so that its document stays the same."""
        document: dict[str, Any] = handler(self)
        for name, field in Detector.model_fields.items():
            if getattr(self, name) == field.default:
                document.pop(name, None)
        return document
