"""Instruments: frozen numbers of cameras, one YAML file each, and what follows from them."""

from functools import lru_cache
from importlib import resources
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from lenssim.errors import ConfigError, unknown
from lenssim.formats.yaml import parse_yaml
from lenssim.record import Record
from lenssim.simulate.instruments.psf import PSF, PSF_KINDS, GaussianPSF, PixelPSF

__all__ = [
    "ADAPTIVE",
    "FINEST",
    "PSF",
    "PSF_KINDS",
    "GaussianPSF",
    "Instrument",
    "PixelPSF",
    "Supersampling",
    "check_sampling",
    "instrument",
    "instruments",
    "parse_sampling",
]

ADAPTIVE = "adaptive"
FINEST = 12  # rays a pixel side that are offered
Supersampling = (
    int | Literal["adaptive"]
)  # rays a pixel side, or as many as each pixel needs


class Instrument(Record):
    """One band of one camera, with the stamp it takes.

    Fluxes are in e-/s. The background is either a sky (mag/arcsec^2) with read noise, or a fixed rms per pixel.
    """

    name: str
    summary: str = ""
    source: str = ""
    num_pix: int = Field(default=64, ge=4, le=4096)
    pixel_scale: float = Field(ge=1e-4, le=100)
    zero_point: float | None = Field(default=None, ge=-10, le=50)
    exposure_time: float = Field(ge=1e-3, le=1e8)
    num_exposures: int = Field(default=1, ge=1, le=1_000_000)
    sky_brightness: float | None = Field(default=None, ge=-10, le=60)
    read_noise: float = Field(default=0.0, ge=0, le=1e6)
    gain: float = Field(default=1.0, ge=1e-6, le=1e6)
    background_rms: float | None = Field(default=None, ge=0, le=1e12)
    psf: PSF

    @model_validator(mode="after")
    def _stamp_holds_psf(self) -> "Instrument":
        side = self.num_pix * self.pixel_scale
        if isinstance(self.psf, GaussianPSF) and self.psf.fwhm > side:
            raise ValueError(
                f"psf.fwhm of {self.psf.fwhm:g} arcsec is wider than the stamp, {self.num_pix} pixels of a "
                f"pixel_scale of {self.pixel_scale:g} arcsec"
            )
        return self

    @model_validator(mode="after")
    def _one_background(self) -> "Instrument":
        if (self.sky_brightness is None) == (self.background_rms is None):
            raise ValueError(
                "give either sky_brightness (with a zero_point) or background_rms"
            )
        if self.sky_brightness is not None and self.zero_point is None:
            raise ValueError("sky_brightness needs a zero_point")
        return self

    def total_exposure(self, exposure_time: np.ndarray | float | None = None) -> np.ndarray:
        """Exposure in s, summed over exposures; `exposure_time` replaces the instrument's single exposure."""
        single = self.exposure_time if exposure_time is None else exposure_time
        return np.asarray(single, dtype=np.float64) * self.num_exposures

    def background(self, exposure_time: np.ndarray | float | None = None) -> np.ndarray:
        """Rms of the background in e-/s per pixel: sqrt(n read_noise^2 + sky pixel^2 T) / T, or the fixed one."""
        total = self.total_exposure(exposure_time)
        if self.background_rms is not None:
            return np.full_like(total, self.background_rms)
        assert self.sky_brightness is not None  # one background is always stated
        assert self.zero_point is not None
        sky = 10 ** (-0.4 * (self.sky_brightness - self.zero_point)) * self.pixel_scale**2
        return np.sqrt(self.num_exposures * self.read_noise**2 + sky * total) / total


def parse_sampling(text: str) -> Supersampling:
    """Supersampling as written on a command line; `ConfigError` for what is neither a number nor "adaptive"."""
    if text == ADAPTIVE:
        return "adaptive"
    if not text.isdecimal() or not 1 <= int(text) <= FINEST:
        raise ConfigError(
            f"supersampling must lie in 1..{FINEST} or be {ADAPTIVE}, got {text}",
            code="supersampling",
            text=text,
        )
    return int(text)


def check_sampling(instrument: Instrument, supersampling: Supersampling) -> None:
    """`ConfigError` if rays so fine cannot be, or cannot serve the instrument's PSF."""
    if supersampling == ADAPTIVE:
        return
    if not isinstance(supersampling, int) or supersampling < 1:
        raise ConfigError(
            f"supersampling must be a whole number of at least 1, or {ADAPTIVE!r}; got {supersampling!r}",
            code="supersampling",
            supersampling=supersampling,
        )
    if supersampling % instrument.psf.supersampling:
        raise ConfigError(
            f"the PSF of {instrument.name} is sampled {instrument.psf.supersampling} times finer than its pixels: "
            f"supersampling must be a multiple of that, got {supersampling}",
            code="supersampling",
            name=instrument.name,
            supersampling=instrument.psf.supersampling,
        )


def instruments() -> list[str]:
    """Names of the instruments that come with lenssim."""
    files = resources.files(__name__).iterdir()
    return sorted(
        file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")
    )


@lru_cache
def instrument(name: str) -> Instrument:
    """The instrument of that name; `ConfigError` with a suggestion for an unknown one."""
    if name not in instruments():
        raise unknown("instrument", name, instruments(), code="unknown-instrument")
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return Instrument.model_validate(parse_yaml(text, f"instrument {name}"))
