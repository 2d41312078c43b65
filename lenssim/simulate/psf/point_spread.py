"""The contract of a point-spread function: a kernel at its own sampling, or a set of them."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np

from lenssim.record import Record

__all__ = ["PointSpread"]


class PointSpread(Record, ABC):
    """How a camera spreads the light of a point.

    A kind of PSF is a file with a subclass and a line in `PSF_KINDS`. Images are convolved
    with its kernel at the kernel's own sampling, which is `supersampling` times finer than
    the camera's pixels, and then binned. A PSF that differs from image to image names the
    `column` of the scenes that tells which kernel an image has.
    """

    continues_edges: ClassVar[bool] = False  # else no light comes from beyond the stamp

    @property
    def column(self) -> str | None:
        """Name of the column that tells images apart; None where all have the same PSF."""
        return None

    @property
    def column_unit(self) -> str:
        """Unit of the column."""
        return ""

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw the column of `count` images, float64 (count,); only of a PSF that has one."""
        raise NotImplementedError(f"{type(self).__name__} is the same in all images")

    def value_bounds(self) -> tuple[float, float]:
        """Return the smallest and the largest value of the column."""
        return 0.0, 0.0

    def at(self, value: float) -> "PointSpread":
        """Return the PSF of the images whose column holds `value`."""
        return self

    def fixed(self) -> Self | "PointSpread":
        """Return the PSF of a typical image: the first of a set, or the median seeing."""
        return self

    @abstractmethod
    def kernel_at(self, pixel_scale: float) -> np.ndarray:
        """Return the kernel of a PSF that is the same in all images.

        Args:
            pixel_scale: Side of the camera's pixels in arcsec.

        Returns:
            The kernel, float64 (K, K), K odd. Its pixels are `supersampling` times finer than
            the camera's, and it sums to 1.
        """
