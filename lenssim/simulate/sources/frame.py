"""The common frame of galaxies: images in units of their half-light radius."""

import numpy as np

from lenssim.errors import ConfigError

__all__ = [
    "GALAXY_SIDE",
    "GALAXY_WIDTH",
    "brightness_at",
    "centre_and_radius",
    "check_images",
    "edge_pixels",
    "framed",
    "resampled",
]

GALAXY_SIDE = 128  # pixels
GALAXY_WIDTH = 10.0  # half-light radii across the frame
_SMALLEST_RADIUS = 0.5  # pixels, of the half light
_PREFILTER = 0.42  # width of the Gaussian before coarser sampling, in new pixels


def framed(image: np.ndarray) -> np.ndarray:
    """Return a galaxy in the common frame as version 0.1 made it.

    The frame is GALAXY_WIDTH half-light radii wide. The median of the outermost pixels is
    subtracted. The galaxy is the region connected to the brightest pixel above three times
    their scatter, both smoothed by two pixels. Pixels are resampled bilinearly, and light
    beyond the frame is lost.

    Args:
        image: Image (H, W).

    Returns:
        Image (GALAXY_SIDE, GALAXY_SIDE), float32, of sum 1.

    Raises:
        ConfigError: The image has no light, or fewer than 8 pixels a side.
    """
    from scipy.ndimage import map_coordinates

    light = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if light.ndim == 2 and min(light.shape) >= 8:
        light = _without_neighbours(light - np.median(edge_pixels(light)))
    if light.ndim != 2 or min(light.shape) < 8 or not 0 < light.sum() < np.inf:
        raise ConfigError(
            f"an image of {' x '.join(map(str, light.shape))} pixels is no galaxy if it is dark "
            "or tiny",
            code="galaxy-image",
        )
    y, x, half_light_radius = centre_and_radius(light)
    step = GALAXY_WIDTH * max(half_light_radius, _SMALLEST_RADIUS) / GALAXY_SIDE
    offsets = (np.arange(GALAXY_SIDE) - (GALAXY_SIDE - 1) / 2) * step
    points = np.meshgrid(y + offsets, x + offsets, indexing="ij")
    fine = map_coordinates(light, points, order=1, mode="constant")
    return (fine / fine.sum()).astype(np.float32)


def resampled(light: np.ndarray, shape_from: np.ndarray | None = None) -> np.ndarray:
    """Return a galaxy without sky in the common frame, about its centre of light.

    Pixels are resampled by cubic splines, which show no facets where the frame is finer
    than the image. Where it is coarser, the image is smoothed first. Light beyond the frame
    is lost.

    Args:
        light: Image (H, W) of the galaxy alone, nowhere negative.
        shape_from: Image (H, W) whose centre and radius decide the frame; default: `light`.

    Returns:
        Image (GALAXY_SIDE, GALAXY_SIDE), float32, of sum 1.

    Example:
        >>> spot = np.zeros((32, 32))
        >>> spot[14:18, 14:18] = 1.0
        >>> float(resampled(spot).sum(dtype=np.float64).round(6))
        1.0
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    y, x, radius = centre_and_radius(light if shape_from is None else shape_from)
    step = GALAXY_WIDTH * max(radius, _SMALLEST_RADIUS) / GALAXY_SIDE
    offsets = (np.arange(GALAXY_SIDE) - (GALAXY_SIDE - 1) / 2) * step
    points = np.meshgrid(y + offsets, x + offsets, indexing="ij")
    smooth = light
    if step > 1:
        smooth = gaussian_filter(light, _PREFILTER * step, mode="constant")
    fine = map_coordinates(smooth, points, order=3, mode="constant").clip(min=0)
    return (fine / fine.sum()).astype(np.float32)


def centre_and_radius(light: np.ndarray) -> tuple[float, float, float]:
    """Return the row and column of the centre of light, and the half-light radius [pixels].

    Example:
        >>> spot = np.zeros((9, 9))
        >>> spot[4, 3] = 2.0
        >>> tuple(float(number) for number in centre_and_radius(spot))
        (4.0, 3.0, 0.0)
    """
    rows, columns = np.indices(light.shape)
    y = (rows * light).sum() / light.sum()
    x = (columns * light).sum() / light.sum()
    radius = np.hypot(rows - y, columns - x).ravel()
    order = np.argsort(radius)
    growth = np.cumsum(light.ravel()[order])
    half = np.searchsorted(growth, 0.5 * light.sum())
    return y, x, radius[order][half]


def edge_pixels(image: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of an image (H, W), each once."""
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def _without_neighbours(light: np.ndarray) -> np.ndarray:
    """Return the galaxy of an image without sky: without noise around it and without neighbours."""
    from scipy.ndimage import gaussian_filter, label

    smooth = gaussian_filter(light, 2.0)
    edge = edge_pixels(smooth)
    scatter = 1.4826 * np.median(np.abs(edge - np.median(edge)))
    parts, _ = label(smooth > 3 * scatter)
    brightest = parts[np.unravel_index(smooth.argmax(), smooth.shape)]
    return np.maximum(np.where((parts == brightest) & (brightest > 0), light, 0), 0)


def brightness_at(
    images: np.ndarray, which: np.ndarray, column: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Return bilinear values of `images[which]`, and 0 beyond their edges.

    Args:
        images: Images (K, H, H).
        which: Rows of `images`, of a shape that broadcasts with the points.
        column: Columns of the points, in pixels from the middle.
        row: Rows of the points, in pixels from the middle.
    """
    side = images.shape[-1]
    flat = images.reshape(-1)
    x = column + (side - 1) / 2
    y = row + (side - 1) / 2
    j0 = np.floor(x).astype(np.int64)
    i0 = np.floor(y).astype(np.int64)
    u = x - j0
    v = y - i0

    def pixel(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        valid = (i >= 0) & (i < side) & (j >= 0) & (j < side)
        return np.where(valid, flat[np.where(valid, (which * side + i) * side + j, 0)], 0)

    lower = (1 - u) * pixel(i0, j0) + u * pixel(i0, j0 + 1)
    upper = (1 - u) * pixel(i0 + 1, j0) + u * pixel(i0 + 1, j0 + 1)
    return (1 - v) * lower + v * upper


def check_images(index: np.ndarray, images: np.ndarray | None) -> None:
    """Check that interpolated sources show images that are there.

    Args:
        index: Rows (N,) of `images`.
        images: Images (K, H, W) or (K, bands, H, W), None if there are none.

    Raises:
        ConfigError: They are no images, or there is no such row.
    """
    if images is None or images.ndim not in (3, 4):
        raise ConfigError(
            "an interpolated source needs `images` of shape (K, H, W), or (K, bands, H, W)",
            code="scene-images",
        )
    if (
        (index != np.round(index)).any()
        or (index < 0).any()
        or (index >= len(images)).any()
    ):
        raise ConfigError(
            f"`image` must be a whole number from 0 to {len(images) - 1}, got {index.min()} to {index.max()}",
            code="scene-images",
        )
    if not np.isfinite(images[np.unique(index).astype(np.int64)]).all():
        raise ConfigError(
            "the `images` of an interpolated source hold NaN or infinite numbers",
            code="scene-images",
        )
