"""The observation: what is known of a lens before it is modelled."""

from dataclasses import dataclass, replace

import numpy as np

from lenssim.errors import DataError

__all__ = ["MASKED_SIGMA", "Observation", "estimated_sigma"]

MASKED_SIGMA = 1e6  # a noise map with more than this says that a pixel was not seen
_MIN_SIDE = 16
_MIN_USABLE = 200  # pixels


@dataclass(frozen=True)
class Observation:
    """One image of a lens, with its noise map and PSF.

    Attributes:
        name: The name of the lens.
        image: Image (H, W), in any unit of flux.
        sigma: Standard deviation (H, W) of the noise, in the same unit.
        psf: PSF (k, k) on the pixels of the image, k odd, with the sum 1.
        mask: Where (H, W) a pixel is usable.
        pixel_scale: Side of a pixel [arcsec].
        remarks: What was not known and had to be assumed, such as "no-noise-map".

    Example:
        >>> lens = Observation.of("blank", np.zeros((32, 32)), np.ones((32, 32)), None, 0.05)
        >>> lens.remarks
        ('no-psf',)
    """

    name: str
    image: np.ndarray
    sigma: np.ndarray
    psf: np.ndarray
    mask: np.ndarray
    pixel_scale: float
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        image: np.ndarray,
        sigma: np.ndarray | None,
        psf: np.ndarray | None,
        pixel_scale: float,
        mask: np.ndarray | None = None,
    ) -> "Observation":
        """Return an observation, checked, with what is missing replaced.

        Args:
            name: The name of the lens.
            image: Image (H, W).
            sigma: Noise map (H, W); None: estimated from the image (`estimated_sigma`).
            psf: PSF (k, k); None: none, which is remarked.
            pixel_scale: Side of a pixel [arcsec].
            mask: Where (H, W) pixels are usable; None: wherever image and noise are finite.

        Raises:
            DataError: The image is too small, its companions have another shape, or too few
                pixels are usable.
        """
        remarks: list[str] = []
        image = _plane(name, "image", image)
        if min(image.shape) < _MIN_SIDE:
            raise _refused(name, f"its image is {image.shape}; a fit needs 16 x 16 pixels")
        if not np.isfinite(pixel_scale) or pixel_scale <= 0:
            raise _refused(name, f"its pixel scale is {pixel_scale}")
        usable = np.isfinite(image)
        if mask is not None:
            usable &= _matching(name, "mask", mask, image.shape) > 0
        if sigma is None:
            sigma = estimated_sigma(np.where(usable, image, 0.0))
            remarks.append("no-noise-map")
        sigma = _matching(name, "noise map", sigma, image.shape)
        usable &= np.isfinite(sigma) & (sigma > 0) & (sigma < MASKED_SIGMA)
        if usable.sum() < _MIN_USABLE:
            raise _refused(
                name, f"only {usable.sum()} of its pixels are usable; all others are masked"
            )
        if psf is None:
            psf = np.ones((1, 1))
            remarks.append("no-psf")
        kernel = _kernel(name, psf)
        image = np.where(usable, image, 0.0)
        sigma = np.where(usable, sigma, 1.0)
        return cls(name, image, sigma, kernel, usable, float(pixel_scale), tuple(remarks))

    def remarked(self, *remarks: str) -> "Observation":
        """Return the same observation with further remarks."""
        return replace(self, remarks=(*self.remarks, *remarks))


def estimated_sigma(image: np.ndarray) -> np.ndarray:
    """Return a noise map (H, W) of an image without one.

    The noise of the sky comes from differences of neighbours, which smooth light does not
    reach. The noise of the light cannot be known without the gain, so it is left out.

    Args:
        image: Image (H, W).

    Returns:
        The same standard deviation for all pixels, in the unit of the image.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 2, (64, 64))
        >>> float(np.round(estimated_sigma(noise)[0, 0], 1))
        2.0
    """
    second = image[:, 2:] - 2 * image[:, 1:-1] + image[:, :-2]
    second = second[np.isfinite(second) & (second != 0)]
    rms = 1.0
    if second.size:
        rms = float(1.4826 * np.median(np.abs(second)) / np.sqrt(6))
    if rms <= 0:
        rms = 1.0
    return np.full(image.shape, rms)


def _plane(name: str, what: str, array: np.ndarray) -> np.ndarray:
    plane = np.asarray(array, np.float64)
    if plane.ndim != 2:
        raise _refused(name, f"its {what} has the shape {plane.shape}; a plane is needed")
    return plane


def _matching(
    name: str, what: str, array: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    plane = _plane(name, what, array)
    if plane.shape != shape:
        raise _refused(name, f"its {what} is {plane.shape}, and its image {shape}")
    return plane


def _kernel(name: str, psf: np.ndarray) -> np.ndarray:
    """Return a PSF with odd sides and the sum 1."""
    kernel = _plane(name, "PSF", psf)
    if kernel.shape[0] != kernel.shape[1]:
        raise _refused(name, f"its PSF is {kernel.shape}; a square is needed")
    if not np.isfinite(kernel).all() or kernel.sum() <= 0:
        raise _refused(name, "its PSF is not finite, or has no flux")
    if len(kernel) % 2 == 0:
        raise _refused(
            name, f"its PSF has {len(kernel)} pixels a side; an odd number is needed"
        )
    return kernel / kernel.sum()


def _refused(name: str, problem: str) -> DataError:
    return DataError(f"{name}: {problem}", code="unfit-observation", name=name)
