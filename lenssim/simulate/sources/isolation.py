"""Isolation: one galaxy of a stamp, without its sky, its noise and its neighbours."""

from dataclasses import dataclass

import numpy as np

from lenssim.simulate.sources.frame import centre_and_radius, edge_pixels
from lenssim.simulate.sources.starlets import correlation_of_sky, denoised

__all__ = ["MIN_SIDE", "Isolated", "deconvolved", "isolated", "tapered"]

MIN_SIDE = 8  # pixels
_SMOOTHING = 2.0  # pixels, of the image that objects are found in
_DETECTION = 3.0  # sigma of the smoothed sky
_MAD = 1.4826  # sigma of a Gaussian, in median absolute deviations
_CENTRAL = 0.25  # of the side: width of the preference for objects in the middle
_BRIGHT_EDGE = 0.1  # of the brightness at half light: more at the edge cuts a galaxy
_RICHARDSON_LUCY = 10  # iterations
_RIM = 4  # pixels


@dataclass(frozen=True)
class Isolated:
    """One galaxy of a stamp.

    Attributes:
        light: Image (H, W) of the galaxy alone, 0 outside it, nowhere negative.
        mask: The pixels of the galaxy, bool (H, W).
        others: The pixels of other objects, bool (H, W).
        noisy: Image (H, W) without sky, with its noise and neighbours.
        sigma: Rms of a pixel's noise.
        correlation: Correlation of the noise at lags -L to L.
        signal_to_noise: Flux of the galaxy, in the rms of the noise of its pixels' sum.
        half_light_radius: Radius of half the light [pixels].
        is_cut: Whether the stamp's edge cuts the galaxy through.
        neighbours: Flux of other objects in the stamp, as a share of the galaxy's.
    """

    light: np.ndarray
    mask: np.ndarray
    others: np.ndarray
    noisy: np.ndarray
    sigma: float
    correlation: np.ndarray
    signal_to_noise: float
    half_light_radius: float
    is_cut: bool
    neighbours: float

    def denoised(self) -> np.ndarray:
        """Return the galaxy (H, W) without its noise, see `starlets.denoised`.

        Its faint rim beyond the mask belongs to it, as far as no other object lies there.
        """
        from scipy.ndimage import binary_dilation

        smooth = denoised(self.noisy, self.sigma, self.correlation)
        rim = binary_dilation(self.mask, iterations=_RIM)
        return np.where(rim & (self.mask | ~self.others), smooth, 0.0)


def isolated(
    image: np.ndarray, variance: float = np.nan, correlation: np.ndarray | None = None
) -> Isolated | None:
    """Return the galaxy of a stamp, or None if the stamp is dark, tiny or no image.

    Objects are regions above three times the scatter of the sky, both smoothed by two
    pixels. The galaxy is the brightest of them, where those near the middle count more. The
    sky's level is the median of the pixels without objects.

    Args:
        image: Image (H, W); pixels that are NaN count as sky.
        variance: Variance of a pixel's noise; NaN to measure it in the sky.
        correlation: Correlation of the noise; None to measure it in the sky.

    Example:
        >>> rows, columns = np.indices((40, 40)) - 19.5
        >>> galaxy = isolated(np.exp(-np.hypot(rows, columns) / 2))
        >>> galaxy.is_cut, round(galaxy.half_light_radius, 1)
        (False, 3.5)
    """
    from scipy.ndimage import binary_dilation, gaussian_filter, label

    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim != 2 or min(pixels.shape) < MIN_SIDE:
        return None
    good = np.isfinite(pixels)
    edge = edge_pixels(pixels)
    if not np.isfinite(edge).any():
        return None
    light = np.where(good, pixels - np.median(edge[np.isfinite(edge)]), 0.0)
    smooth = gaussian_filter(light, _SMOOTHING)
    scatter = _scatter(edge_pixels(smooth))
    parts, count = label(smooth > _DETECTION * scatter)
    galaxy = _most_central(parts, count, light)
    if galaxy == 0:
        return None
    sky = good & ~binary_dilation(parts > 0, iterations=2)
    if sky.sum() > edge.size:
        light = np.where(good, light - np.median(light[sky]), 0.0)
    mask = parts == galaxy
    alone = np.where(mask, light, 0.0).clip(min=0)
    flux = float(light[mask].sum())
    if not 0 < flux < np.inf:
        return None
    noise = light[sky] if sky.any() else edge_pixels(light)
    sigma = float(np.sqrt(variance)) if variance > 0 else _scatter(noise)
    if correlation is None:
        correlation = correlation_of_sky(light, sky)
    noise_of_sum = sigma * np.sqrt(mask.sum() * max(float(correlation.sum()), 1.0))
    others = light[(parts > 0) & ~mask].clip(min=0).sum()
    return Isolated(
        light=alone,
        mask=mask,
        others=(parts > 0) & ~mask,
        noisy=light,
        sigma=sigma,
        correlation=correlation,
        signal_to_noise=flux / noise_of_sum if noise_of_sum > 0 else np.inf,
        half_light_radius=float(centre_and_radius(alone)[2]),
        is_cut=_is_cut(smooth, mask),
        neighbours=float(others / alone.sum()),
    )


def _scatter(values: np.ndarray) -> float:
    """Return the width of the distribution of values, whatever its wings."""
    return float(_MAD * np.median(np.abs(values - np.median(values))))


def _most_central(parts: np.ndarray, count: int, light: np.ndarray) -> int:
    """Return the label of the galaxy among the objects of a stamp, 0 if there is none."""
    from scipy.ndimage import sum_labels

    if count == 0:
        return 0
    rows, columns = np.indices(light.shape)
    height, width = light.shape
    distance2 = ((rows - (height - 1) / 2) / height) ** 2
    distance2 = distance2 + ((columns - (width - 1) / 2) / width) ** 2
    weighted = light.clip(min=0) * np.exp(-0.5 * distance2 / _CENTRAL**2)
    fluxes = sum_labels(weighted, parts, np.arange(1, count + 1))
    return int(np.argmax(fluxes)) + 1 if fluxes.max() > 0 else 0


def _is_cut(smooth: np.ndarray, mask: np.ndarray) -> bool:
    """Return whether a galaxy is bright where it meets the edge of its stamp."""
    brightness = np.sort(smooth[mask])[::-1]
    growth = np.cumsum(brightness)
    at_half_light = brightness[np.searchsorted(growth, 0.5 * growth[-1])]
    at_edge = edge_pixels(smooth)[edge_pixels(mask)]
    return bool((at_edge > _BRIGHT_EDGE * at_half_light).any())


def tapered(light: np.ndarray, half_light_radius: float) -> np.ndarray:
    """Return a galaxy that fades to 0 at the edge of its stamp, within a half-light radius.

    Args:
        light: Image (H, W).
        half_light_radius: Radius of half the light [pixels].
    """
    height, width = light.shape
    rows, columns = np.indices(light.shape)
    distance = np.minimum(
        np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns)
    )
    ramp = (distance / max(half_light_radius, 2.0)).clip(max=1)
    return light * ramp**2 * (3 - 2 * ramp)


def deconvolved(light: np.ndarray, psf: np.ndarray) -> np.ndarray:
    """Return a galaxy without its telescope's PSF, by ten steps of Richardson and Lucy.

    Few steps sharpen a galaxy and keep its noise low. The result is nowhere negative.

    Args:
        light: Image (H, W), nowhere negative.
        psf: The PSF (H', W') on the same pixels, of any normalisation.
    """
    from scipy.signal import fftconvolve

    kernel = np.asarray(psf, dtype=np.float64).clip(min=0)
    kernel = kernel / kernel.sum()
    mirrored = kernel[::-1, ::-1]
    floor = 1e-6 * light.max()
    estimate = light + floor
    for _ in range(_RICHARDSON_LUCY):
        blurred = fftconvolve(estimate, kernel, mode="same").clip(min=floor)
        estimate = estimate * fftconvolve(light / blurred, mirrored, mode="same").clip(
            min=0
        )
    return np.where(estimate > 2 * floor, estimate, 0.0)
