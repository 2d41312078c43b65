"""Stamps: images of one band, and the parts of them that a realism audit measures."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy.ndimage import map_coordinates, median_filter

from lenssim.learn.scores.masked import masked_mean, masked_median

__all__ = ["Stamps"]

_RINGS = 32  # between the middle and the edge of a stamp
_ANGLES = 64
_WAVES = (2, 4, 6)  # periods a turn of the light of a smooth elliptical galaxy
_OUTLIER = 3.5  # sigma, of pixels of the corners that objects cover
_ROUNDS = 4  # in which such pixels are found
_MAD_TO_SIGMA = 1.4826
_FREQUENCIES = 8
_TINY = 1e-30


@dataclass(frozen=True)
class Stamps:
    """Images of one band as the statistics see them.

    Attributes:
        images: Images float64 (N, H, W), NaN where masked.
        sigma: Noise maps float64 (N, H, W), None if there are none.

    Example:
        >>> stamps = Stamps(np.random.default_rng(0).normal(size=(2, 48, 48)))
        >>> stamps.corners.shape
        (4, 2, 8, 8)
    """

    images: np.ndarray
    sigma: np.ndarray | None = None

    def corners_of(self, maps: np.ndarray) -> np.ndarray:
        """Return the four corners (4, N, h, w) of maps (N, H, W)."""
        side = max(6, min(maps.shape[1:]) // 6)
        ends = (slice(side), slice(-side, None))
        return np.stack([maps[:, rows, columns] for rows, columns in product(ends, ends)])

    @cached_property
    def level(self) -> np.ndarray:
        """Level (N,) of the background: the median of the corners."""
        corners = np.moveaxis(self.corners_of(self.images), 1, 0)
        return np.nan_to_num(masked_median(corners.reshape(len(corners), -1)))

    @cached_property
    def light(self) -> np.ndarray:
        """Images (N, H, W) above the background, without masked pixels.

        Those have the light of the pixel on the far side of the middle. If that is masked too,
        they have the median of their ring.
        """
        light = self.images - self.level[:, None, None]
        light = np.where(np.isfinite(light), light, light[:, ::-1, ::-1])
        return _without_gaps(light)

    @cached_property
    def corners(self) -> np.ndarray:
        """Noise (4, N, h, w) of the corners: a quadratic surface is subtracted, objects are NaN."""
        return np.stack([_noise_of(corner) for corner in self.corners_of(self.images)])

    @cached_property
    def rms(self) -> np.ndarray:
        """Root mean square (N,) of the noise of the corners."""
        squares = np.moveaxis(self.corners**2, 1, 0).reshape(len(self.images), -1)
        return np.sqrt(masked_mean(squares))

    @cached_property
    def polar(self) -> np.ndarray:
        """Light (N, 32, 64) by ring and angle about the middle."""
        height, width = self.images.shape[1:]
        radius = (np.arange(_RINGS) + 0.5) / _RINGS * (min(height, width) / 2 - 1)
        y = (height - 1) / 2 + radius[:, None] * np.sin(_angles())
        x = (width - 1) / 2 + radius[:, None] * np.cos(_angles())
        return np.stack([map_coordinates(image, [y, x], order=1) for image in self.light])

    @cached_property
    def growth(self) -> np.ndarray:
        """Light (N, 32) within each ring, as a share of that within the last one."""
        rings = np.median(self.polar, axis=2) * (np.arange(_RINGS) + 0.5)
        total = np.cumsum(rings, axis=1)
        return total / np.where(np.abs(total[:, -1:]) > _TINY, total[:, -1:], 1)

    @cached_property
    def residual(self) -> np.ndarray:
        """Light (N, 32, 64) without a smooth elliptical galaxy, in units of the noise.

        Each ring is fitted by a constant and by waves of 2, 4 and 6 periods. A second fit
        leaves out what stands above the first.
        """
        waves = [wave(m * _angles()) for m in _WAVES for wave in (np.cos, np.sin)]
        terms = np.stack([np.ones(_ANGLES), *waves], axis=1)
        smooth = terms @ np.linalg.pinv(terms)
        residual = self.polar - self.polar @ smooth
        scatter = _MAD_TO_SIGMA * np.median(np.abs(residual), axis=2, keepdims=True)
        without_arcs = np.where(residual > 1.5 * scatter, self.polar - residual, self.polar)
        return (self.polar - without_arcs @ smooth) / (self.rms[:, None, None] + _TINY)

    @cached_property
    def fine_structure(self) -> np.ndarray:
        """Images (N, H, W) without their median over 7 x 7 pixels, in units of the noise."""
        smooth = median_filter(self.light, size=(1, 7, 7))
        return (self.light - smooth) / (self.rms[:, None, None] + _TINY)

    @cached_property
    def power(self) -> np.ndarray:
        """Mean power (N, 8) by spatial frequency, from 0 to 0.5 a pixel."""
        height, width = self.images.shape[1:]
        members = np.eye(_FREQUENCIES)[_frequency_bins(height, width).ravel()]
        window = np.hanning(height)[:, None] * np.hanning(width)
        power = np.abs(np.fft.rfft2(self.light * window)) ** 2
        return power.reshape(len(power), -1) @ members / members.sum(0)


def _without_gaps(light: np.ndarray) -> np.ndarray:
    """Return images (N, H, W) with the medians of rings in place of NaN."""
    masked = ~np.isfinite(light)
    for number in np.flatnonzero(masked.any((1, 2)) & ~masked.all((1, 2))):
        light[number][masked[number]] = _ring_medians(light[number])[masked[number]]
    return np.nan_to_num(light)


def _ring_medians(image: np.ndarray) -> np.ndarray:
    """Return the median (H, W) of the ring of each pixel, between its neighbours' if masked."""
    y, x = (np.arange(side) - (side - 1) / 2 for side in image.shape)
    ring = np.hypot(y[:, None], x).astype(int)
    numbers = np.arange(ring.max() + 1)
    medians = np.array([masked_median(image[ring == number]) for number in numbers])
    finite = np.isfinite(medians)
    return np.interp(numbers, numbers[finite], medians[finite])[ring]


def _frequency_bins(height: int, width: int) -> np.ndarray:
    """Return the bin (H, W // 2 + 1) of each frequency of a real Fourier transform."""
    axes = (np.fft.fftfreq(height), np.fft.rfftfreq(width))
    frequency = np.hypot(*np.meshgrid(*axes, indexing="ij"))
    return np.minimum((frequency * 2 * _FREQUENCIES).astype(int), _FREQUENCIES - 1)


def _angles() -> np.ndarray:
    return np.arange(_ANGLES) * 2 * np.pi / _ANGLES


def _noise_of(corner: np.ndarray) -> np.ndarray:
    """Return a corner (N, h, w) without a quadratic surface, NaN at outliers and where masked."""
    count, height, width = corner.shape
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j])
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    projection = terms @ np.linalg.pinv(terms)
    flat = corner.reshape(count, -1)
    good = np.isfinite(flat)
    surface = np.nan_to_num(masked_median(flat))[:, None] * np.ones(flat.shape[1])
    for _ in range(_ROUNDS):
        surface = np.where(good, flat, surface) @ projection
        residual = np.where(np.isfinite(flat), flat - surface, np.nan)
        middle = masked_median(residual)[:, None]
        scatter = _MAD_TO_SIGMA * masked_median(np.abs(residual - middle))[:, None]
        with np.errstate(invalid="ignore"):
            good = np.abs(residual - middle) <= _OUTLIER * scatter
    return np.where(good, flat - surface, np.nan).reshape(corner.shape)
