"""The Gaussian PSF, as lenstronomy applies it."""

from typing import ClassVar, override

import numpy as np
from pydantic import Field

from lenssim.simulate.conventions import gaussian_kernel
from lenssim.simulate.psf.point_spread import PointSpread

__all__ = ["GaussianPSF"]


class GaussianPSF(PointSpread):
    """A Gaussian PSF: full width at half maximum in arcsec, cut at `truncation` sigma.

    Applied as lenstronomy applies it: scipy's `gaussian_filter` on the stamp, edges continued
    (mode "nearest").

    Example:
        >>> GaussianPSF(fwhm=0.16).kernel_at(0.1).shape
        (7, 7)
    """

    continues_edges: ClassVar[bool] = True

    fwhm: float = Field(ge=1e-4, le=1e4)
    truncation: float = Field(default=5.0, ge=0.1, le=20)

    @property
    def supersampling(self) -> int:
        """How many times finer than the camera's pixels it is applied: at the pixels."""
        return 1

    @property
    def width(self) -> float:
        """The fwhm in arcsec."""
        return self.fwhm

    @override
    def kernel_at(self, pixel_scale: float) -> np.ndarray:
        return gaussian_kernel(self.fwhm, self.truncation, pixel_scale)
