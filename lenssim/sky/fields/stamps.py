"""Stamps of a field: images, noise maps and masks around the galaxies of a catalogue."""

from dataclasses import dataclass

import numpy as np

from lenssim.data.exchange.telescope.band_image import BandImage, Grid, ReadingOptions
from lenssim.data.exchange.telescope.image import padded
from lenssim.data.exchange.telescope.pixels import filled
from lenssim.data.exchange.telescope.placing import on_grid
from lenssim.errors import DataError
from lenssim.formats.sky_header import SkyHeader
from lenssim.simulate.noise.telescope import MASKED_SIGMA
from lenssim.sky.fields.field import WideField, Window
from lenssim.sky.fields.mesh import BackgroundMesh
from lenssim.sky.fields.request import ExtractRequest

__all__ = ["Stamps", "cut_stamps", "kernels", "native_side"]

_BLOCK = 1024  # pixels: stamps within it are cut from one part of the field
_SAME_SCALE = 2e-3


@dataclass(frozen=True)
class Stamps:
    """Stamps of some galaxies.

    Attributes:
        images: Flux float32 (n, C, N, N), without the background.
        sigma: Rms of the noise float32 (n, C, N, N), 1e8 where it is masked.
        mask: 1 where a pixel was seen, else 0: float32 (n, C, N, N).
    """

    images: np.ndarray
    sigma: np.ndarray
    mask: np.ndarray

    def put(self, row: int, band: int, image: BandImage) -> None:
        """Set one band of a stamp."""
        sigma = np.where(image.mask, np.asarray(image.sigma), MASKED_SIGMA)
        self.images[row, band] = image.pixels
        self.sigma[row, band] = sigma
        self.mask[row, band] = image.mask


def native_side(request: ExtractRequest, pixel_scale: float) -> int:
    """Return the side of a stamp in pixels of the field.

    Args:
        request: Size and scale of the stamps.
        pixel_scale: Side of a pixel of the field [arcsec].
    """
    target = request.pixel_scale or pixel_scale
    if abs(target / pixel_scale - 1) <= _SAME_SCALE:
        return request.num_pix
    return int(np.ceil(request.num_pix * target / pixel_scale)) + 1


def cut_stamps(
    field: WideField,
    meshes: list[BackgroundMesh],
    request: ExtractRequest,
    x: np.ndarray,
    y: np.ndarray,
) -> Stamps:
    """Return the stamps around some pixels.

    Pixels beyond the field's edge are masked. Masked pixels hold the mean of their neighbours.

    Args:
        field: The field.
        meshes: The background of each band.
        request: Size and scale of the stamps.
        x: Columns (n,) of the middles, neighbours on the sky one after another.
        y: Rows (n,).
    """
    side = native_side(request, field.pixel_scale)
    first_rows = np.floor(y - (side - 1) / 2 + 0.5).astype(np.int64)
    first_columns = np.floor(x - (side - 1) / 2 + 0.5).astype(np.int64)
    count = len(x)
    shape = (count, len(field.names), request.num_pix, request.num_pix)
    stamps = Stamps(*(np.empty(shape, np.float32) for _ in range(3)))
    blocks = np.stack([first_rows // _BLOCK, first_columns // _BLOCK], axis=1)
    for block in np.unique(blocks, axis=0):
        rows = np.flatnonzero((blocks == block).all(axis=1))
        part = _Part(field, meshes, first_rows[rows], first_columns[rows], side)
        for row in rows.tolist():
            corner = (int(first_rows[row]), int(first_columns[row]))
            for number in range(len(field.names)):
                image = part.image(number, corner, side)
                stamps.put(row, number, _placed(image, _options(request, field)))
    return stamps


def _placed(image: BandImage, options: ReadingOptions) -> BandImage:
    """Return a band on the pixels of the stamps; one of which nothing was seen is 0."""
    try:
        return on_grid(image, options, "a stamp")
    except DataError as error:
        if error.code != "all-masked":
            raise
    side = options.grid.num_pix or len(image.pixels)
    nothing = np.zeros((side, side))
    return BandImage("", nothing, nothing > 0, nothing, None, image.sky)


def _options(request: ExtractRequest, field: WideField) -> ReadingOptions:
    """Return the pixels of the stamps."""
    grid = Grid(request.pixel_scale, request.num_pix)
    return ReadingOptions(grid=grid, native_scale=field.pixel_scale)


class _Part:
    """A part of the field that holds some stamps, read once."""

    def __init__(
        self,
        field: WideField,
        meshes: list[BackgroundMesh],
        rows: np.ndarray,
        columns: np.ndarray,
        side: int,
    ) -> None:
        height, width = field.shape
        self.window = Window(
            slice(max(int(rows.min()), 0), min(int(rows.max()) + side, height)),
            slice(max(int(columns.min()), 0), min(int(columns.max()) + side, width)),
        )
        self._scale = field.pixel_scale
        self._bands = []
        for band, mesh in zip(field.read(self.window), meshes, strict=True):
            place = (self.window.rows, self.window.columns)
            sigma = band.sigma if band.sigma is not None else mesh.sigma(*place)
            flux = band.flux - mesh.background(*place)
            self._bands.append((flux, band.mask & ~band.saturated, sigma))

    def image(self, number: int, corner: tuple[int, int], side: int) -> BandImage:
        """Return one band of a stamp; what lies beyond the field is masked."""
        source = []
        target = []
        for start, extent in zip(
            corner, (self.window.rows, self.window.columns), strict=True
        ):
            begin = max(start, extent.start)
            end = min(start + side, extent.stop)
            source.append(slice(begin - extent.start, end - extent.start))
            target.append(slice(begin - start, end - start))
        flux, is_seen, noise = (plane[tuple(source)] for plane in self._bands[number])
        pixels = np.full((side, side), np.nan)
        mask = np.zeros((side, side), bool)
        sigma = np.full((side, side), np.nan)
        mask[tuple(target)] = is_seen
        pixels[tuple(target)] = np.where(is_seen, flux, np.nan)
        sigma[tuple(target)] = np.where(is_seen, noise, np.nan)
        if not mask.all():
            pixels = filled(pixels, mask) if mask.any() else np.zeros_like(pixels)
        return BandImage("", pixels, mask, sigma, None, SkyHeader(pixel_scale=self._scale))


def kernels(psfs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return kernels of several bands as float32 (C, K, K) of one size."""
    side = max(len(psf) for psf in psfs)
    return np.stack([padded(psf, side) for psf in psfs]).astype(np.float32)
