"""Preparation: the centre of a lens, the part of its image that is fitted, its noise."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from lenssim.errors import DataError
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.stamps import Stamps, stamps

__all__ = [
    "FLOOR",
    "Noise",
    "Prepared",
    "binned_psf",
    "corner_noise",
    "prepare",
    "stamps_of",
]

FLOOR = 0.02  # of a pixel's flux, added to its noise while searching
_CENTRE_WITHIN = 0.7  # arcsec
_MIN_CUT = 2.8  # arcsec
_CUT_OVER_THETA_E = 1.8
_MIN_CORNER = 12  # pixels a side, for images of 48 pixels and more
_MIN_PIXELS = 100
_DEGREE = 3  # of the surface that is taken out of a corner
_TERMS = 10
_MAX_LOST = 0.5
_CLIPS = 3
_NOISY = 2.0  # a corner whose variance is larger by this factor has a galaxy
_EDGE = 2  # pixels at the edge of an image that are not fitted
_CORNER = 0.3  # of the half side: pixels farther than this from both axes' edges


@dataclass(frozen=True)
class Noise:
    """The noise of an image in units of its noise map, measured in its corners.

    Attributes:
        variance: Of the pixels in sigma^2; chi2 a pixel of a perfect model.
        neighbours: Correlation of pixels that share a side.
        diagonals: Correlation of pixels that share a corner.
    """

    variance: float
    neighbours: float
    diagonals: float


@dataclass(frozen=True)
class Prepared:
    """A square stamp of a lens about its centre.

    Attributes:
        observation: What was observed, cut to an even number of pixels a side.
        noise: The noise in the corners of the whole image.
        origin: Position of (0, 0) in pixels from the first pixel's centre.
        offset: Position (x, y) [arcsec] of the stamp's (0, 0) in the whole image, from its
            middle.
        cut: Radius that is fitted [arcsec].
    """

    observation: Observation
    noise: Noise
    origin: float
    offset: tuple[float, float]
    cut: float


def prepare(
    observation: Observation, *, has_light: bool, theta_E: float | None = None
) -> Prepared:
    """Cut a lens out of its image.

    The centre of a lens with light is its brightest pixel, after a blur of 1 pixel, within
    0.7 arcsec of the middle. Without light the middle of the image is the centre.

    Args:
        observation: The image and its companions.
        has_light: Whether the lens shines.
        theta_E: A guess of the Einstein radius [arcsec], which widens the cut.

    Raises:
        DataError: Hardly a pixel is left.

    Example:
        >>> lens = Observation.of("a", np.eye(64), np.ones((64, 64)), np.ones((1, 1)), 0.05)
        >>> prepare(lens, has_light=False).observation.image.shape
        (64, 64)
    """
    noise = corner_noise(observation)
    observation = _without_edge(observation)
    scale = observation.pixel_scale
    cut = max(_MIN_CUT, _CUT_OVER_THETA_E * (theta_E or 0.0))
    height, width = observation.image.shape
    middle = ((width - 1) / 2, (height - 1) / 2)
    half = min(round(cut / scale), (max(height, width) + 1) // 2)
    half = max(2 * (half // 2), 8)
    x = (width + 1) // 2
    y = (height + 1) // 2
    origin = half - 0.5
    if has_light:
        x, y = _brightest(observation, middle)
        origin = float(half)
    elif width % 2:
        x -= 1
        y -= 1
        origin = float(half)
    part = _square(observation, x - half, y - half, 2 * half)
    offset = (
        (x - half + origin - middle[0]) * scale,
        (y - half + origin - middle[1]) * scale,
    )
    prepared = Prepared(part, noise, origin, offset, cut)
    count = int((part.mask & _within(prepared)).sum())
    if count < _MIN_PIXELS:
        raise DataError(
            f"{part.name}: only {count} of its pixels lie within {cut:g} arcsec of the lens "
            f"and were seen; its pixel scale is {scale:g} arcsec",
            code="unfit-observation",
            name=part.name,
        )
    return prepared


def _without_edge(observation: Observation) -> Observation:
    """Mask the edge of an image: the light beyond it, which the PSF brings in, is not known."""
    mask = np.zeros_like(observation.mask)
    inner = slice(_EDGE, -_EDGE)
    mask[inner, inner] = observation.mask[inner, inner]
    return replace(observation, mask=mask)


def _brightest(observation: Observation, middle: tuple[float, float]) -> tuple[int, int]:
    """Return x and y of the brightest pixel near the middle, of the image blurred by 1 pixel."""
    height, width = observation.image.shape
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - middle[0], y - middle[1]) * observation.pixel_scale
    smooth = gaussian_filter(observation.image, 1.0)
    smooth = np.where((distance < _CENTRE_WITHIN) & observation.mask, smooth, -np.inf)
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    return int(column), int(row)


def _square(observation: Observation, x: int, y: int, side: int) -> Observation:
    """Return a square of an image that begins at a pixel; beyond the edge it is masked."""
    planes = {}
    for name, filler in (("image", 0.0), ("sigma", 1.0), ("mask", False)):
        plane = getattr(observation, name)
        square = np.full((side, side), filler, plane.dtype)
        rows = slice(max(y, 0), min(y + side, plane.shape[0]))
        columns = slice(max(x, 0), min(x + side, plane.shape[1]))
        target_rows = slice(rows.start - y, rows.stop - y)
        target_columns = slice(columns.start - x, columns.stop - x)
        square[target_rows, target_columns] = plane[rows, columns]
        planes[name] = square
    return Observation(
        observation.name,
        planes["image"],
        planes["sigma"],
        observation.psf,
        planes["mask"],
        observation.pixel_scale,
        observation.remarks,
    )


def corner_noise(observation: Observation) -> Noise:
    """Return the noise in the four corners of an image, in units of its noise map.

    A surface of the third degree takes the light of the lens out of each corner. A corner with a
    galaxy does not count.

    Args:
        observation: The image and its noise map.
    """
    height, width = observation.image.shape
    half = min(height, width) / 2
    side = min(max(_MIN_CORNER, int(_CORNER * half)), int(half / 2))
    pulls = np.where(observation.mask, observation.image / observation.sigma, np.nan)
    pulls = np.where(observation.image == 0, np.nan, pulls)
    corners = [
        pulls[rows, columns]
        for rows in (slice(0, side), slice(height - side, height))
        for columns in (slice(0, side), slice(width - side, width))
    ]
    corners = [_flattened(corner) for corner in corners]
    corners = _quiet([corner for corner in corners if np.isfinite(corner).any()])
    if not corners:
        return Noise(1.0, 0.0, 0.0)
    straight = []
    diagonal = []
    for corner in corners:
        straight += [corner[:, 1:] * corner[:, :-1], corner[1:] * corner[:-1]]
        diagonal += [corner[1:, 1:] * corner[:-1, :-1], corner[1:, :-1] * corner[:-1, 1:]]
    variance = _mean([corner**2 for corner in corners])
    neighbours = _mean(straight)
    diagonals = _mean(diagonal)
    # the surfaces took as much from all of these: more where neighbours are alike
    pixels = sum(int(np.isfinite(corner).sum()) for corner in corners)
    alike = 1 + 4 * (max(neighbours, 0) + max(diagonals, 0)) / variance
    lost = min(_TERMS * len(corners) * alike / pixels, _MAX_LOST)
    lost = variance * lost / (1 - lost)
    variance += lost
    return Noise(variance, (neighbours + lost) / variance, (diagonals + lost) / variance)


def _flattened(corner: np.ndarray) -> np.ndarray:
    """Return a corner less a smooth surface, NaN where it stands out."""
    y, x = np.indices(corner.shape) / max(len(corner) - 1, 1)
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    terms = np.stack([x**i * y**j for i, j in powers], axis=-1)
    rest = corner
    usable = np.isfinite(corner)
    for _ in range(_CLIPS):
        count = int(usable.sum())
        if count < 2 * _TERMS:
            return np.full_like(corner, np.nan)
        surface, *_ = np.linalg.lstsq(terms[usable], corner[usable], rcond=None)
        rest = corner - terms @ surface
        spread = 1.4826 * _median(np.abs(rest[usable]))
        usable = np.isfinite(corner) & (np.abs(rest) < 4 * spread)
    return np.where(usable, rest, np.nan)


def _quiet(corners: list[np.ndarray]) -> list[np.ndarray]:
    """Return the corners whose scatter is not far above that of the quietest."""
    variances = [float(np.nanvar(corner)) for corner in corners]
    limit = _NOISY * min((value for value in variances if value > 0), default=0.0)
    pairs = zip(corners, variances, strict=True)
    return [corner for corner, variance in pairs if 0 < variance <= limit]


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else 0.0


def _mean(parts: list[np.ndarray]) -> float:
    values = np.concatenate([part[np.isfinite(part)] for part in parts])
    return float(values.mean()) if values.size else 0.0


def stamps_of(
    prepared: list[Prepared], *, floor: float = 0.0, bin: int = 1, device: str = "cpu"
) -> Stamps:
    """Return the stamps of lenses of one size, pixel scale and PSF size.

    Args:
        prepared: The lenses.
        floor: Share of each pixel's flux that is added to its noise, in squares.
        bin: Pixels a side that are averaged to one.
        device: Where the numbers lie.
    """
    first = prepared[0]
    images = np.stack([lens.observation.image for lens in prepared])
    sigmas = np.stack([lens.observation.sigma for lens in prepared])
    masks = np.stack([lens.observation.mask & _within(lens) for lens in prepared])
    psfs = np.stack([lens.observation.psf for lens in prepared])
    origin = first.origin
    scale = first.observation.pixel_scale
    if bin > 1:
        images, sigmas, masks = _binned(images, sigmas, masks, bin)
        psfs = np.stack([binned_psf(psf, bin) for psf in psfs])
        origin = (origin - (bin - 1) / 2) / bin
        scale = scale * bin
    sigmas = np.sqrt(sigmas**2 + (floor * np.maximum(images, 0)) ** 2)
    return stamps(images, sigmas, masks, psfs, scale, origin=origin, device=device)


def _within(lens: Prepared) -> np.ndarray:
    """Return which pixels (n, n) lie within the cut."""
    pixels = np.arange(len(lens.observation.image)) - lens.origin
    return np.hypot(pixels[None], pixels[:, None]) * lens.observation.pixel_scale < lens.cut


def _blocks(planes: np.ndarray, bin: int) -> np.ndarray:
    count, side, _ = planes.shape
    return planes.reshape(count, side // bin, bin, side // bin, bin)


def _binned(
    images: np.ndarray, sigmas: np.ndarray, masks: np.ndarray, bin: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return averages of blocks, their noise, and which blocks are usable as a whole."""
    return (
        _blocks(images, bin).mean((2, 4)),
        np.sqrt(_blocks(sigmas**2, bin).sum((2, 4))) / bin**2,
        _blocks(masks, bin).all((2, 4)),
    )


def binned_psf(psf: np.ndarray, bin: int) -> np.ndarray:
    """Return the PSF on larger pixels, averaged over the places of a source in its pixel.

    Args:
        psf: PSF (k, k), k odd.
        bin: Pixels a side that become one.

    Example:
        >>> binned_psf(np.ones((1, 1)), 3).tolist()
        [[1.0]]
    """
    side = len(psf)
    half = -(-(side // 2) // bin)
    coarse = 2 * half + 1
    total = np.zeros((coarse, coarse))
    middle = half * bin
    for row in range(bin):
        for column in range(bin):
            plane = np.zeros((coarse * bin + side, coarse * bin + side))
            top = middle + row - side // 2
            left = middle + column - side // 2
            pad = side // 2
            plane[pad + top : pad + top + side, pad + left : pad + left + side] = psf
            plane = plane[pad : pad + coarse * bin, pad : pad + coarse * bin]
            total += plane.reshape(coarse, bin, coarse, bin).sum((1, 3))
    return total / total.sum()
