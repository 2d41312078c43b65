"""Numbers of a PSF: its width, and the area that sets the noise of a point source."""

import numpy as np

from lenssim.simulate.psf.gaussian import GaussianPSF
from lenssim.simulate.psf.moffat import MoffatPSF, moffat_area
from lenssim.simulate.psf.point_spread import PointSpread

__all__ = ["kernel_fwhm", "noise_area", "psf_fwhm"]

_GAUSSIAN_AREA = np.pi / (2 * np.log(2))  # of 1 / integral(P^2), in fwhm^2
_FINER = 8  # points a pixel of a kernel


def kernel_fwhm(kernel: np.ndarray) -> float:
    """Return the full width at half maximum of a kernel (K, K), in its pixels.

    It is the diameter of a disc of the area in which a cubic spline through the pixels is
    above half its peak.
    """
    from scipy.ndimage import zoom

    side = len(kernel)
    if side == 1:
        return 1.0
    finer = (side - 1) * _FINER + 1
    smooth = zoom(kernel, finer / side, order=3, grid_mode=False)
    area = (smooth > smooth.max() / 2).sum() / _FINER**2
    return float(2 * np.sqrt(area / np.pi))


def psf_fwhm(psf: PointSpread, pixel_scale: float) -> float:
    """Return the full width at half maximum of a PSF in arcsec; of a set, that of a typical one.

    Args:
        psf: The PSF.
        pixel_scale: Side of the camera's pixels in arcsec.

    Example:
        >>> psf_fwhm(GaussianPSF(fwhm=0.16), 0.1)
        0.16
    """
    psf = psf.fixed()
    if isinstance(psf, GaussianPSF | MoffatPSF):
        return psf.width
    fine = pixel_scale / _sampling(psf)
    return kernel_fwhm(psf.kernel_at(pixel_scale)) * fine


def noise_area(psf: PointSpread, pixel_scale: float) -> float:
    """Return the noise-equivalent area 1 / integral(P^2) of a PSF in arcsec^2.

    A point source is measured, at best, with the noise of the sky over this area. It is 2.266
    fwhm^2 of a Gaussian.

    Args:
        psf: The PSF; of a set, a typical one counts.
        pixel_scale: Side of the camera's pixels in arcsec.

    Example:
        >>> round(noise_area(GaussianPSF(fwhm=1.0), 0.2), 3)
        2.266
    """
    psf = psf.fixed()
    if isinstance(psf, GaussianPSF):
        return float(_GAUSSIAN_AREA * psf.fwhm**2)
    if isinstance(psf, MoffatPSF):
        return moffat_area(psf.width, psf.beta)
    fine = pixel_scale / _sampling(psf)
    return float(fine**2 / (psf.kernel_at(pixel_scale) ** 2).sum())


def _sampling(psf: PointSpread) -> int:
    return int(getattr(psf, "supersampling", 1))
