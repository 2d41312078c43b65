"""What an instrument's numbers mean: its depth, its width, its correlated noise."""

from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.instruments.camera import AnyCamera
from lenssim.simulate.instruments.instrument import Instrument
from lenssim.simulate.psf.measure import noise_area, psf_fwhm

__all__ = ["check_units", "facts", "five_sigma", "sigma_magnitude"]

SKIES = (
    16.0,
    25.0,
)  # mag/arcsec^2 of any sky, from the moonlit y band to ultraviolet space
ZERO_POINTS = (20.0, 32.0)  # magnitudes of 1 e-/s of any telescope


def sigma_magnitude(instrument: Instrument) -> float | None:
    """Return m(sigma), the magnitude of one sigma of a pixel's background.

    The sigma is that of the weight map. None without a zero point.

    Example:
        >>> from lenssim.simulate.instruments import instrument
        >>> round(sigma_magnitude(instrument("euclid_vis_q1")), 2)
        30.57
    """
    if instrument.zero_point is None:
        return None
    background = float(instrument.background())
    if background == 0:
        return None
    return float(instrument.zero_point - 2.5 * np.log10(background))


def five_sigma(instrument: Instrument) -> float | None:
    """Return m5, the magnitude of a point source at five sigma of the background.

    The noise is that of the PSF's noise-equivalent area, see `noise_area`.

    Example:
        >>> from lenssim.simulate.instruments import instrument
        >>> round(five_sigma(instrument("rubin_r")), 1)
        24.5
    """
    magnitude = sigma_magnitude(instrument)
    if magnitude is None:
        return None
    pixels = noise_area(instrument.psf, instrument.pixel_scale) / instrument.pixel_scale**2
    return float(magnitude - 2.5 * np.log10(5 * np.sqrt(pixels)))


def facts(instrument: Instrument) -> dict[str, Any]:
    """Return the numbers of one band, and what follows from them.

    Args:
        instrument: The band.

    Returns:
        Numbers by name. `m_sigma` and `m5` are magnitudes, `pixel_rms` is the rms of a pixel
        over that of the weight map, `psf_fwhm` is in arcsec.
    """
    document = instrument.model_dump(mode="json", exclude={"psf"})
    kind = type(instrument.psf).__name__.removesuffix("PSF").lower()
    document |= {
        "native_scale": instrument.native,
        "dark": instrument.dark,
        "psf": "pixels" if kind == "pixel" else kind,
        "psf_fwhm": round(psf_fwhm(instrument.psf, instrument.pixel_scale), 4),
        "background": float(instrument.background()),
        "m_sigma": sigma_magnitude(instrument),
        "m5": five_sigma(instrument),
        "pixel_rms": instrument.pixel_loss,
    }
    return document


def check_units(camera: AnyCamera) -> None:
    """Refuse numbers that are magnitudes of no sky, such as counts.

    Raises:
        ConfigError: A sky or a zero point lies outside of what telescopes have.

    Example:
        >>> from lenssim.simulate.instruments import instrument
        >>> check_units(instrument("euclid_vis"))
    """
    for band in camera.instruments:
        _check("sky_brightness", band.sky_brightness, SKIES, "mag/arcsec^2")
        _check("zero_point", band.zero_point, ZERO_POINTS, "mag of 1 e-/s")


def _check(name: str, value: float | None, limits: tuple[float, float], unit: str) -> None:
    if value is None or limits[0] <= value <= limits[1]:
        return
    raise ConfigError(
        f"{name} must lie in {limits[0]:g}..{limits[1]:g} {unit}, got {value:g}; is it in "
        "another unit?",
        code="instrument-units",
        name=name,
        value=value,
    )
