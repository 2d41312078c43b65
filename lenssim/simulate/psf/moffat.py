"""The Moffat PSF of the ground: a core of seeing with wings, the same or drawn per image."""

from functools import lru_cache
from typing import override

import numpy as np
from pydantic import Field, field_validator

from lenssim.simulate.distribution import Distribution
from lenssim.simulate.distributions import Value, has_tails, sample, support
from lenssim.simulate.psf.kernels import MAX_SIDE, normalised
from lenssim.simulate.psf.point_spread import PointSpread

__all__ = ["MoffatPSF", "moffat_area"]

_WIDTHS = (1e-4, 1e4)  # arcsec


class MoffatPSF(PointSpread):
    """A Moffat PSF, I(r) ~ (1 + r^2 / a^2)^-beta, with a = fwhm / (2 sqrt(2^(1 / beta) - 1)).

    The seeing `fwhm` [arcsec] is a number, or a distribution with ends, such as
    `{uniform: [0.6, 0.9]}`, from which each image draws its own. It is then the column
    `psf_fwhm`. The kernel holds the profile at the middle of its pixels, out to a radius of
    `truncation` times the largest fwhm. Source: Moffat 1969; beta is near 5 for Rubin.

    Example:
        >>> MoffatPSF(fwhm=0.7, beta=5).kernel_at(0.2).shape
        (29, 29)
    """

    fwhm: Value
    beta: float = Field(default=5.0, gt=1, le=100)
    truncation: float = Field(default=4.0, ge=0.5, le=50)
    supersampling: int = Field(default=1, ge=1, le=12)

    @field_validator("fwhm")
    @classmethod
    def _has_ends(cls, fwhm: Value) -> Value:
        if has_tails(fwhm):
            raise ValueError(
                "a seeing that is drawn needs ends, because the kernel has a size; give "
                "uniform or truncated_normal"
            )
        low, high = support(fwhm)
        if not _WIDTHS[0] <= low <= high <= _WIDTHS[1]:
            raise ValueError(
                f"must lie in {_WIDTHS[0]:g}..{_WIDTHS[1]:g} arcsec, got {low:g} to {high:g}"
            )
        return fwhm

    @property
    def width(self) -> float:
        """The largest fwhm in arcsec."""
        return float(support(self.fwhm)[1])

    @property
    @override
    def column(self) -> str | None:
        if isinstance(self.fwhm, Distribution):
            return "psf_fwhm"
        return None

    @property
    @override
    def column_unit(self) -> str:
        return "arcsec"

    @override
    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return sample(self.fwhm, rng, count)

    @override
    def value_bounds(self) -> tuple[float, float]:
        return support(self.fwhm)

    @override
    def at(self, value: float) -> "MoffatPSF":
        if self.column is None:
            return self
        # all kernels of a set have the same size
        truncation = self.truncation * self.width / value
        return self.model_copy(update={"fwhm": value, "truncation": truncation})

    @override
    def fixed(self) -> "MoffatPSF":
        if self.column is None:
            return self
        middle = sample(self.fwhm, np.random.default_rng(0), 1001)
        return self.model_copy(update={"fwhm": float(np.median(middle))})

    @override
    def kernel_at(self, pixel_scale: float) -> np.ndarray:
        step = pixel_scale / self.supersampling
        return _moffat_kernel(self.width, self.beta, self.truncation, step)


def moffat_area(fwhm: float, beta: float) -> float:
    """Return the noise-equivalent area 1 / integral(P^2) of a Moffat PSF.

    Args:
        fwhm: Full width at half maximum [arcsec].
        beta: The exponent.

    Returns:
        The area pi a^2 (2 beta - 1) / (beta - 1)^2 [arcsec^2].

    Example:
        >>> round(moffat_area(0.7, 5.0), 3)
        1.456
    """
    scale = _scale_radius(fwhm, beta)
    return float(np.pi * scale**2 * (2 * beta - 1) / (beta - 1) ** 2)


def _scale_radius(fwhm: float, beta: float) -> float:
    return fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))


@lru_cache(maxsize=256)
def _moffat_kernel(fwhm: float, beta: float, truncation: float, step: float) -> np.ndarray:
    """Return the kernel (K, K) at pixels of `step` arcsec."""
    half = int(np.ceil(truncation * fwhm / step - 1e-9))
    half = min(half, MAX_SIDE // 2)
    offset = np.arange(-half, half + 1) * step
    square = offset[:, None] ** 2 + offset**2
    scale = _scale_radius(fwhm, beta)
    kernel = normalised((1 + square / scale**2) ** -beta)
    kernel.flags.writeable = False
    return kernel
