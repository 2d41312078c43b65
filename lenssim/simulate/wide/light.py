"""The light of a wide field: stamps of lenses, galaxies and stars, added to a canvas."""

from collections.abc import Sequence

import numpy as np

from lenssim.simulate.camera_choice import psf_columns
from lenssim.simulate.engines import Engine
from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.instruments.camera import Camera
from lenssim.simulate.scenes import Component, Scenes
from lenssim.simulate.wide.population import FieldObjects

__all__ = ["FieldLight", "field_kernels"]

_SIDES = (31, 63, 127, 255)  # pixels: stamps of galaxies
_FAINTEST = 0.05  # of the noise: surface brightness at the edge of a stamp
_TAPER = 0.1  # of a stamp's side: where light fades out
_BATCH = 256
_REDSHIFTS = {"z_lens": 0.5, "z_source": 1.0}  # of galaxies: no light is lensed


def field_kernels(camera: AnyCamera, psf_values: dict[str, float]) -> list[np.ndarray]:
    """Return the PSF (K, K) of each band of a field, at the camera's pixels."""
    return [
        psf.at(psf_values.get(column or "", 0.0)).kernel_at(camera.pixel_scale)
        for column, psf in psf_columns(camera)
    ]


class FieldLight:
    """Adds light to a canvas.

    Args:
        canvas: Light of each band (C, H, W) in e-/s, written in place; a file in memory.
        camera: The camera.
        engine: What renders.
        psf_values: Values of the columns that choose the PSF, one for the whole field.
    """

    def __init__(
        self,
        canvas: Sequence[np.ndarray],
        camera: AnyCamera,
        engine: Engine,
        psf_values: dict[str, float],
    ) -> None:
        self._canvas = canvas
        self._camera = camera
        self._engine = engine
        self._psf_values = psf_values
        self._kernels = field_kernels(camera, psf_values)

    def add_scenes(
        self,
        scenes: Scenes,
        x: np.ndarray,
        y: np.ndarray,
        side: int,
        supersampling: int | str,
    ) -> None:
        """Add scenes, each with the middle of its stamp on a pixel.

        Args:
            scenes: N scenes.
            x: Columns (N,) of the middles, whole numbers.
            y: Rows (N,).
            side: Pixels a side of a stamp, odd.
            supersampling: Rays a pixel side, or "adaptive".
        """
        camera = _with_side(self._camera, side)
        for start in range(0, len(scenes), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(scenes)))
            images = self._engine.render(
                scenes.take(rows),
                camera,
                supersampling=supersampling,  # type: ignore[arg-type]
            )
            for row, image in zip(rows.tolist(), images, strict=True):
                self._add(image * _fading(side), int(x[row]), int(y[row]))

    def add_objects(self, objects: FieldObjects) -> None:
        """Add the galaxies or stars of a cell."""
        if objects.kind == "star":
            self._add_stars(objects)
        elif len(objects):
            self._add_galaxies(objects)

    def _add_galaxies(self, objects: FieldObjects) -> None:
        """Add galaxies, in stamps of the size of their light."""
        scale = self._camera.pixel_scale
        middle_x = np.round(objects.x)
        middle_y = np.round(objects.y)
        columns = dict(objects.columns)
        columns["center_x"] = (objects.x - middle_x) * scale
        columns["center_y"] = (objects.y - middle_y) * scale
        columns["magnitude"] = objects.magnitude
        for number, band in enumerate(self._camera.band_names):
            columns[f"colour_{band}"] = -number * objects.redness
        for name, value in (self._psf_values | _REDSHIFTS).items():
            columns[name] = np.full(len(objects), value)
        scenes = Scenes((Component("lens_light", "sersic"),), columns)
        sides = self._sides(objects)
        for side in _SIDES:
            rows = np.flatnonzero(sides == side)
            if len(rows):
                self.add_scenes(scenes.take(rows), middle_x[rows], middle_y[rows], side, 3)

    def _sides(self, objects: FieldObjects) -> np.ndarray:
        """Return the sides (n,) of stamps that hold galaxies down to a share of the noise."""
        from lenssim.simulate.sources.sersic import unit_flux

        band = self._camera.instruments[0]
        radius = objects.columns["R_sersic"]
        n_sersic = objects.columns["n_sersic"]
        scale = self._camera.pixel_scale
        assert band.zero_point is not None
        flux = 10 ** (-0.4 * (objects.magnitude - band.zero_point))
        brightness = flux / unit_flux(radius, n_sersic) * scale**2
        contrast = np.log(brightness / (_FAINTEST * float(band.background())))
        slope = 1.9992 * n_sersic - 0.3271
        reach = radius * (1 + contrast / slope).clip(min=1) ** n_sersic
        side = 2 * reach / scale + len(self._kernels[0]) / 2
        places = np.searchsorted(_SIDES, side).clip(max=len(_SIDES) - 1)
        return np.array(_SIDES)[places]

    def _add_stars(self, objects: FieldObjects) -> None:
        """Add point sources: the PSF, moved by parts of a pixel."""
        from scipy.ndimage import shift

        for number in range(len(objects)):
            x, y = float(objects.x[number]), float(objects.y[number])
            offset = (y - round(y), x - round(x))
            planes = []
            for band, (instrument, kernel) in enumerate(
                zip(self._camera.instruments, self._kernels, strict=True)
            ):
                assert instrument.zero_point is not None
                magnitude = objects.magnitude[number] - band * objects.redness[number]
                flux = 10 ** (-0.4 * (magnitude - instrument.zero_point))
                moved = shift(np.pad(kernel, 1), offset, order=3).clip(min=0)
                planes.append(flux * moved / moved.sum())
            for band, plane in enumerate(planes):
                self._add(plane[None], round(x), round(y), band)

    def _add(self, image: np.ndarray, x: int, y: int, first: int = 0) -> None:
        """Add the bands (C, S, S) of a stamp around a pixel; what lies beyond is cut."""
        side = image.shape[-1]
        height, width = self._canvas[0].shape
        row, column = y - side // 2, x - side // 2
        rows = slice(max(row, 0), min(row + side, height))
        columns = slice(max(column, 0), min(column + side, width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        in_rows = slice(rows.start - row, rows.stop - row)
        in_columns = slice(columns.start - column, columns.stop - column)
        part = image[:, in_rows, in_columns]
        for band, plane in enumerate(part):
            self._canvas[first + band][rows, columns] += plane


def _with_side(camera: AnyCamera, side: int) -> AnyCamera:
    """Return a camera with stamps of another size."""
    if isinstance(camera, Camera):
        return camera.model_copy(update={"num_pix": side})
    return camera.model_copy(update={"num_pix": side})


def _fading(side: int) -> np.ndarray:
    """Return weights (S, S): 1 inside, and 0 at the edge, so that no edge is seen."""
    middle = (side - 1) / 2
    radius = np.abs(np.arange(side) - middle) / (middle + 1)
    line = np.clip((1 - radius) / _TAPER, 0, 1)
    line = line**2 * (3 - 2 * line)
    return np.outer(line, line)
