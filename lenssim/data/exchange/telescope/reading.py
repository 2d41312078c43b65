"""From the files of a lens to one image on one grid, with noise map, mask and PSFs."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from lenssim.data.exchange.telescope.band_image import BandImage, ReadingOptions
from lenssim.data.exchange.telescope.pixels import (
    all_masked,
    check_flux,
    check_noise,
    filled,
    kernel_of,
    masked_by_value,
    noise_rms,
    used_pixels,
)
from lenssim.data.exchange.telescope.placing import on_grid
from lenssim.data.exchange.telescope.planes import LensFiles, Plane
from lenssim.errors import DataError
from lenssim.formats.files import read_content
from lenssim.formats.hdf5 import read_hdf5
from lenssim.formats.sky_header import UNKNOWN, SkyHeader
from lenssim.names import printable
from lenssim.simulate.psf.kernels import centroid

__all__ = ["bands_of_lens", "read_bands"]

_NOISE = ("sigma", "variance", "weight")
_MASKS = ("mask", "flags", "used")


def bands_of_lens(lens: LensFiles, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the bands of a lens that are read, as its files write them.

    Args:
        lens: The lens.
        wanted: Names that a user gives, in order; none: all that have an image.

    Raises:
        DataError: The lens lacks a band.
    """
    bands = [plane.band for plane in lens.planes if plane.role == "image"]
    if not wanted or bands == [""]:
        return tuple(bands)
    by_name = {band.casefold(): band for band in bands}
    missing = [name for name in wanted if name.casefold() not in by_name]
    if missing:
        raise DataError(
            f"{printable(lens.name)} has no image of the band {printable(missing[0])}; it has "
            f"{', '.join(printable(band) or 'one without a name' for band in bands)}",
            code="band-missing",
            lens=lens.name,
            band=missing[0],
            bands=bands,
        )
    return tuple(by_name[name.casefold()] for name in wanted)


def read_bands(
    lens: LensFiles, wanted: Sequence[str], options: ReadingOptions
) -> list[BandImage]:
    """Return the bands of a lens, each on the pixels of the data set.

    Args:
        lens: The lens.
        wanted: Names of the bands, in order; none: all.
        options: How they are read.

    Raises:
        DataError: A file cannot be used, or bands are equal or on different pixels.
    """
    bands = []
    for band in bands_of_lens(lens, wanted):
        planes = {
            plane.role: plane
            for plane in reversed(lens.planes)
            if plane.band == band or (not plane.band and plane.role != "image")
        }
        bands += _read_cube(planes, band, wanted, options)
    _check_apart(lens, bands)
    placed = [on_grid(image, options, lens.name) for image in bands]
    shapes = {image.pixels.shape for image in placed}
    if len(shapes) > 1:
        sizes = ", ".join(sorted(f"{height} x {width}" for height, width in shapes))
        raise DataError(
            f"{printable(lens.name)}: its bands have different sizes: {sizes}; choose bands by "
            "--bands, or resample them by --pixel-scale and --num-pix",
            code="bands-differ",
            lens=lens.name,
        )
    return placed


def _read_cube(
    planes: dict[str, Plane], band: str, wanted: Sequence[str], options: ReadingOptions
) -> list[BandImage]:
    """Return the images of one plane: one, or the bands of a cube."""
    plane = planes["image"]
    stored, sky = _read(plane)
    array = _without_single_axes(stored)
    if array.ndim == 2 and array.size:
        return [_band_image(planes, band, array, sky, options, None)]
    if array.ndim != 3 or array.shape[-1] < min(array.shape[:2]):
        raise DataError(
            f"{plane}: its shape is {stored.shape}; give an image (rows, columns), or a cube "
            "with its bands first",
            code="image-shape",
            shape=stored.shape,
        )
    if len(array) != options.bands:
        raise DataError(
            f"{plane}: it holds {len(array)} images of {array.shape[1]} x {array.shape[2]}; if "
            "these are the bands of a lens, name them by --bands, as many and in this order; "
            "else give each image a file",
            code="image-unclear",
            shape=array.shape,
        )
    names = [str(number + 1) for number in range(len(array))]
    if wanted:
        names = list(wanted)
    return [
        _band_image(planes, name, array[number], sky, options, number)
        for number, name in enumerate(names)
    ]


def _band_image(
    planes: dict[str, Plane],
    band: str,
    image: np.ndarray,
    sky: SkyHeader,
    options: ReadingOptions,
    number: int | None,
) -> BandImage:
    """Return a band with its noise map, mask and PSF; `number` is its place in a cube."""
    where = str(planes["image"])
    image = _real(image, where)
    hidden = masked_by_value(image, options.masked_values)
    if hidden.all():
        raise all_masked(where)
    masked = hidden.copy()
    check_flux(np.where(hidden, np.nan, image), sky.unit, where)
    for role in _MASKS:
        if role in planes:
            array, mask_sky = _like(image, planes[role], options, number)
            masked |= ~used_pixels(
                array, role, options.mask_means, str(planes[role]), mask_sky.bad_bits
            )
    sigma = _sigma(planes, image, masked, options, number)
    if sigma is not None:
        masked |= ~np.isfinite(sigma)
        sigma = np.where(masked, np.nan, sigma)
    if masked.all():
        raise all_masked(where)
    if sigma is not None:
        check_noise(np.where(masked, np.nan, image), sigma, _noise_plane(planes))
    pixels = filled(np.where(hidden, np.nan, image), ~masked)
    psf, offset = _psf(planes, options, number)
    numbers = _with_numbers(planes, sky)
    return BandImage(band, pixels, ~masked, sigma, psf, numbers, offset)


def _psf(
    planes: dict[str, Plane], options: ReadingOptions, number: int | None
) -> tuple[np.ndarray | None, float]:
    """Return the kernel of a band, or None, and how far off its middle it lies."""
    if "psf" not in planes:
        return None, 0.0
    array = _of_band(_read(planes["psf"])[0], planes["psf"], options, number)
    psf = kernel_of(array, str(planes["psf"]), options.recentre_psf)
    return psf, float(np.hypot(*centroid(psf))) / options.psf_supersampling


def _sigma(
    planes: dict[str, Plane],
    image: np.ndarray,
    masked: np.ndarray,
    options: ReadingOptions,
    number: int | None,
) -> np.ndarray | None:
    """Return the noise map (H, W) of a band, or None."""
    for role in _NOISE:
        if role in planes:
            array, _ = _like(image, planes[role], options, number)
            return noise_rms(array, options.noise_kind or role, str(planes[role]))
    if "background_rms" not in planes:
        return None
    variance = _read(planes["background_rms"])[0].astype(np.float64) ** 2
    if "exposure_time" in planes:
        exposure, _ = _read(planes["exposure_time"])
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = variance + np.where(masked, 0, image).clip(min=0) / exposure
    sigma = np.sqrt(np.broadcast_to(variance, image.shape))
    return noise_rms(sigma, "sigma", str(planes["background_rms"]))


def _noise_plane(planes: dict[str, Plane]) -> str:
    """Return which file the noise map of a band comes from, for messages."""
    return str(next(planes[role] for role in (*_NOISE, "background_rms") if role in planes))


def _with_numbers(planes: dict[str, Plane], sky: SkyHeader) -> SkyHeader:
    """Return a header with the numbers that an HDF5 file holds beside its image."""
    scale = sky.pixel_scale
    zero_point = sky.zero_point
    if "transform" in planes:
        matrix = _read(planes["transform"])[0].reshape(2, 2)
        scale = float(np.sqrt(abs(np.linalg.det(matrix.astype(np.float64)))))
    if "pixel_scale" in planes:
        scale = float(_read(planes["pixel_scale"])[0].reshape(-1)[0])
    if "zero_point" in planes:
        zero_point = float(_read(planes["zero_point"])[0].reshape(-1)[0])
    return replace(sky, pixel_scale=scale, zero_point=zero_point)


def _read(plane: Plane) -> tuple[np.ndarray, SkyHeader]:
    """Return the array of a plane and what its header says."""
    if plane.path.suffix.lower() in (".h5", ".hdf5"):
        assert plane.unit is not None
        return read_hdf5(plane.path, plane.unit), UNKNOWN
    content = read_content(plane.path, plane.unit)
    return np.asarray(content.value), content.sky


def _without_single_axes(array: np.ndarray) -> np.ndarray:
    return array.reshape([side for side in array.shape if side != 1])


def _of_band(
    array: np.ndarray, plane: Plane, options: ReadingOptions, number: int | None
) -> np.ndarray:
    """Return the map of a band of a cube: one of as many maps as bands, or the only one."""
    array = _without_single_axes(array)
    if array.ndim != 3 or number is None:
        return array
    if len(array) != options.bands:
        raise DataError(
            f"{plane}: it holds {len(array)} maps, and its image {options.bands} bands; give "
            "one for each band, or one for all",
            code="shapes-differ",
            shape=array.shape,
        )
    return array[number]


def _like(
    image: np.ndarray, plane: Plane, options: ReadingOptions, number: int | None
) -> tuple[np.ndarray, SkyHeader]:
    """Return the map of a plane, of the shape (H, W) of its image, and its header."""
    stored, sky = _read(plane)
    array = _of_band(stored, plane, options, number)
    if array.shape != image.shape:
        raise DataError(
            f"{plane}: its shape is {array.shape}, and that of its image {image.shape}",
            code="shapes-differ",
            shape=array.shape,
            image_shape=image.shape,
        )
    return array, sky


def _real(image: np.ndarray, where: str) -> np.ndarray:
    if image.dtype.kind not in "iuf":
        raise DataError(
            f"{where}: it holds {image.dtype}, not numbers",
            code="image-values",
            where=where,
        )
    return image.astype(np.float64)


def _check_apart(lens: LensFiles, bands: Sequence[BandImage]) -> None:
    """Refuse bands with the same pixels: one of them was copied over the other."""
    pairs = [
        (other.band, image.band)
        for other, image in combinations(bands, 2)
        if np.array_equal(image.pixels, other.pixels)
    ]
    if pairs:
        words = "; ".join(
            f"{printable(first)} and {printable(last)}" for first, last in pairs
        )
        raise DataError(
            f"{printable(lens.name)}: two of its bands hold the same pixels: {words}; one of "
            "them is a copy: fetch the files again",
            code="bands-equal",
            lens=lens.name,
            bands=pairs,
        )
