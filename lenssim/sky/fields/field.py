"""The wide field: its files, bands and sky, read window by window."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.data.exchange.telescope.pixels import noise_rms, used_pixels
from lenssim.data.exchange.telescope.planes import Plane
from lenssim.errors import DataError
from lenssim.formats.fits_sections import FitsSections, open_sections
from lenssim.formats.sky_header import SkyHeader, read_sky_header
from lenssim.names import printable
from lenssim.sky.fields.request import ExtractRequest

__all__ = ["BandFiles", "BandWindow", "WideField", "Window", "open_field"]

_SQUARE = 2e-3


@dataclass(frozen=True)
class Window:
    """A part of a field: rows and columns, which may reach beyond its edges.

    Example:
        >>> Window(slice(0, 4), slice(2, 4)).grown(1, (4, 9))
        Window(rows=slice(0, 4, None), columns=slice(1, 5, None))
    """

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels along both axes."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def grown(self, margin: int, shape: tuple[int, int]) -> "Window":
        """Return the window with a margin, cut at the edges of a field of some shape."""
        return Window(*map(_grown, (self.rows, self.columns), (margin, margin), shape))

    def within(self, outer: "Window") -> tuple[slice, slice]:
        """Return rows and columns counted from the corner of an outer window."""
        return (
            _shifted(self.rows, outer.rows.start),
            _shifted(self.columns, outer.columns.start),
        )


def _grown(side: slice, margin: int, length: int) -> slice:
    return slice(max(side.start - margin, 0), min(side.stop + margin, length))


def _shifted(side: slice, origin: int) -> slice:
    return slice(side.start - origin, side.stop - origin)


@dataclass(frozen=True)
class BandFiles:
    """Where the images of one band lie.

    Attributes:
        name: Name of the band, or "".
        image: Its image.
        plane: Which image of a cube; None if it is none.
        noise: Its noise map, or None.
        masks: Its masks.
    """

    name: str
    image: Plane
    plane: int | None
    noise: Plane | None
    masks: tuple[Plane, ...]


@dataclass(frozen=True)
class BandWindow:
    """A window of one band.

    Attributes:
        flux: Flux in each pixel, before the background is subtracted, (H, W); finite.
        mask: Which pixels were seen, bool (H, W).
        sigma: Noise map float64 (H, W), NaN where it is masked; None if there is none.
        saturated: Which pixels are saturated, bool (H, W).
    """

    flux: np.ndarray
    mask: np.ndarray
    sigma: np.ndarray | None
    saturated: np.ndarray


@dataclass(frozen=True)
class _OpenBand:
    """The opened images of a band, and what its header says."""

    files: BandFiles
    image: FitsSections
    noise: FitsSections | None
    masks: tuple[FitsSections, ...]
    sky: SkyHeader
    saturation: float | None


class WideField:
    """An opened field of C bands on one grid.

    Args:
        bands: The opened bands.
        request: How the field is read.

    Attributes:
        shape: Rows and columns.
        names: Names of the bands.
        pixel_scale: Side of a pixel [arcsec].
        zero_points: AB magnitude of one unit of each band; None where it is not known.
    """

    def __init__(self, bands: Sequence[_OpenBand], request: ExtractRequest) -> None:
        self._bands = tuple(bands)
        self._request = request
        reference = bands[0]
        height, width = reference.image.shape[-2:]
        self.shape = (height, width)
        self.names = tuple(band.files.name for band in bands)
        self.zero_points = tuple(band.sky.zero_point for band in bands)
        self.pixel_scale = _pixel_scale(reference, request)
        self._wcs = _wcs(reference.image.header)

    @property
    def has_sky(self) -> bool:
        """Whether its header states where on the sky its pixels lie."""
        return self._wcs is not None

    @property
    def has_noise(self) -> bool:
        """Whether each band has a noise map."""
        return all(band.noise is not None for band in self._bands)

    @property
    def header(self) -> Any:
        """The header of the first band."""
        return self._bands[0].image.header

    def read(self, window: Window) -> list[BandWindow]:
        """Return all bands of a window that lies in the field.

        Raises:
            DataError: A file is damaged, or a noise map has negative values.
        """
        return [self._read(band, window) for band in self._bands]

    def _read(self, band: _OpenBand, window: Window) -> BandWindow:
        request = self._request
        rows, columns = window.rows, window.columns
        flux = band.image.read(rows, columns, band.files.plane)
        mask = np.isfinite(flux)
        for value in request.masked_values:
            mask &= flux != flux.dtype.type(value)
        for plane, section in zip(band.files.masks, band.masks, strict=True):
            numbers = section.read(rows, columns, _plane_of(section, band.files.plane))
            mask &= _used(numbers, plane, section, request)
        sigma = None
        if band.noise is not None and band.files.noise is not None:
            plane = band.files.noise
            numbers = band.noise.read(
                rows, columns, _plane_of(band.noise, band.files.plane)
            )
            sigma = _rms(numbers, request.noise_kind or plane.role, str(plane))
            mask &= np.isfinite(sigma)
        saturated = np.zeros(flux.shape, bool)
        if band.saturation is not None:
            saturated = mask & (flux >= band.saturation)
        return BandWindow(np.where(mask, flux, 0), mask, sigma, saturated)

    def positions(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return right ascension and declination (n,) [deg] of pixels; NaN without a WCS.

        Args:
            x: Columns (n,), counted from 0 in the middle of the first pixel.
            y: Rows (n,), counted in the same way.
        """
        if self._wcs is None or not len(x):
            return np.full(len(x), np.nan), np.full(len(x), np.nan)
        ra, dec = self._wcs.all_pix2world(x, y, 0)
        return np.asarray(ra) % 360, np.asarray(dec)


def _plane_of(section: FitsSections, plane: int | None) -> int | None:
    """Return which image of a noise map or mask belongs to an image of a cube."""
    return plane if len(section.shape) == 3 else None


def _used(
    numbers: np.ndarray, plane: Plane, section: FitsSections, request: ExtractRequest
) -> np.ndarray:
    """Return which pixels a mask lets one use; a window may be masked as a whole."""
    bits = read_sky_header(section.header).bad_bits
    flags = numbers.astype(np.int64) if bits is not None else numbers
    try:
        return used_pixels(flags, plane.role, request.mask_means, str(plane), bits)
    except DataError as error:
        if error.code != "all-masked":
            raise
        return np.zeros(numbers.shape, bool)


def _rms(numbers: np.ndarray, role: str, where: str) -> np.ndarray:
    """Return a noise map as rms, NaN where it is masked; a window may be masked as a whole."""
    try:
        return noise_rms(numbers, role, where)
    except DataError as error:
        if error.code != "all-masked":
            raise
        return np.full(numbers.shape, np.nan)


def _pixel_scale(band: _OpenBand, request: ExtractRequest) -> float:
    """Return the pixel scale [arcsec] of a field."""
    if request.native_scale is not None:
        return request.native_scale
    if band.sky.pixel_scale is None or not band.sky.is_square:
        raise DataError(
            f"{band.files.image}: its header states no pixel scale (no CD matrix, CDELT or "
            "PIXSCALE), or pixels that are not square; give --native-scale, in arcsec",
            code="no-pixel-scale",
            field=str(band.files.image),
        )
    return band.sky.pixel_scale


def _wcs(header: Any) -> Any:
    """Return the celestial WCS of a header; None if it has none."""
    import warnings

    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header).celestial
        except Exception:  # damaged headers provoke many kinds of errors
            return None
    return wcs if wcs.has_celestial else None


@contextmanager
def open_field(files: Sequence[BandFiles], request: ExtractRequest) -> Iterator[WideField]:
    """Open the bands of a field.

    Args:
        files: Where the bands lie.
        request: How they are read.

    Raises:
        DataError: A file cannot be read, or the images of a field have several shapes.
    """
    with ExitStack() as stack:

        def opened(plane: Plane) -> FitsSections:
            return stack.enter_context(open_sections(plane.path, plane.unit))

        bands = []
        for band in files:
            image = opened(band.image)
            noise = opened(band.noise) if band.noise is not None else None
            masks = tuple(opened(plane) for plane in band.masks)
            sky = read_sky_header(image.header)
            bands.append(
                _OpenBand(band, image, noise, masks, sky, _saturation(image, request))
            )
        _check_shapes(bands)
        yield WideField(bands, request)


def _saturation(image: FitsSections, request: ExtractRequest) -> float | None:
    """Return the value from which pixels are saturated, if it is known."""
    if request.saturation is not None:
        return request.saturation
    level = image.header.get("SATURATE")
    if isinstance(level, int | float) and np.isfinite(level) and level > 0:
        return float(level)
    return None


def _check_shapes(bands: Sequence[_OpenBand]) -> None:
    """Refuse images, noise maps and masks of different shapes, and bands of band_scale scales."""
    shape = bands[0].image.shape[-2:]
    scale = bands[0].sky.pixel_scale
    for band in bands:
        sections = [band.image, band.noise, *band.masks]
        for section in sections:
            if section is not None and section.shape[-2:] != shape:
                raise DataError(
                    f"{band.files.image}: the field's images have different sizes, "
                    f"{_size(section.shape)} and {_size(shape)}; give images on one grid",
                    code="shapes-differ",
                    shape=section.shape,
                    image_shape=shape,
                )
        band_scale = band.sky.pixel_scale
        if scale and band_scale and abs(band_scale / scale - 1) > _SQUARE:
            raise DataError(
                f"{band.files.image}: its pixels are {band_scale:.5g} arcsec wide, and those of "
                f"{printable(str(bands[0].files.image))} {scale:.5g}; give images on one grid",
                code="pixel-scale-differs",
                pixel_scale=band_scale,
            )


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
