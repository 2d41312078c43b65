"""The mosaic: a FITS file of any size with its noise map, PSF, and a table of what lies in it."""

import io
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, StorageError
from lenssim.simulate.camera_choice import psf_columns
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import AnyCamera, instrument
from lenssim.simulate.preset import Preset
from lenssim.simulate.wide.light import FieldLight, field_kernels
from lenssim.simulate.wide.noise import BLOCK_SIDE, FieldNoise
from lenssim.simulate.wide.population import FieldObjects, field_objects
from lenssim.simulate.wide.request import MosaicRequest
from lenssim.simulate.wide.sky import mosaic_header
from lenssim.simulate.wide.truth import Truth

__all__ = ["truth_path", "write_mosaic"]

_LENS_SIDE = 20.0  # arcsec: side of the stamps of lenses
_AT_ONCE = 64  # lenses that are drawn together
_SATURATED = 0.98  # of a full pixel: from here on a pixel counts as saturated
_BLOCK_BYTES = 2880  # of FITS files


def truth_path(path: Path) -> Path:
    """Return the table of what lies in a mosaic.

    Example:
        >>> truth_path(Path("field.fits")).name
        'field.truth.csv'
    """
    return path.with_name(f"{path.stem}.truth.csv")


def write_mosaic(
    path: Path,
    preset: Preset,
    request: MosaicRequest,
    report: Callable[[int, int], None] = lambda finished, total: None,
) -> Truth:
    """Simulate a wide field and write it, and the table of what lies in it.

    Memory does not grow with the field, which is a file from the start. The file gets its name
    when it is whole.

    Args:
        path: The FITS file. For each band it holds an image, a noise map and a PSF.
        preset: What is injected.
        request: Size and content.
        report: Is told how many parts of how many are done.

    Raises:
        ConfigError: The camera has no zero point, or the field is too small for so many lenses.
        StorageError: The disk is full or cannot be written.
    """
    if request.camera is not None:
        preset = preset.model_copy(update={"instrument": instrument(request.camera)})
        preset.check()
    _check(preset, request)
    temporary = _temporary(path)
    try:
        truth = _write(temporary, preset, request, report)
        table = truth_path(path)
        unfinished = _temporary(table)
        unfinished.write_bytes(truth.csv_bytes())
        unfinished.replace(table)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; mend that or choose another file",
            code="write-failed",
            path=path,
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
    return truth


def _temporary(path: Path) -> Path:
    """Return the name that a file has until it is whole."""
    return path.with_name(f".tmp-{path.name}-{uuid.uuid4().hex}")


def _check(preset: Preset, request: MosaicRequest) -> None:
    camera = preset.instrument
    if any(band.zero_point is None for band in camera.instruments):
        raise ConfigError(
            f"{camera.name} has no zero point, so galaxies and stars have no flux; choose "
            "another --camera",
            code="no-zero-point",
            camera=camera.name,
        )
    room = (request.size * camera.pixel_scale / _LENS_SIDE) ** 2
    if request.lenses > room:
        raise ConfigError(
            f"{request.lenses} lenses need more than a field of {request.size} pixels a side: "
            f"each takes {_LENS_SIDE:g} arcsec; at most {int(room)} fit",
            code="option-range",
            option="lenses",
            value=request.lenses,
        )


def _write(
    path: Path,
    preset: Preset,
    request: MosaicRequest,
    report: Callable[[int, int], None],
) -> Truth:
    """Write the file under its temporary name."""
    camera = preset.instrument
    psf_values = _psf_values(preset, request)
    canvas, maps = _prepared(path, camera, request, psf_values)
    light = FieldLight(canvas, camera, engine("batched"), psf_values)
    truth = Truth(camera.pixel_scale, request)
    columns = -(-request.size // BLOCK_SIDE)
    total = request.lenses + 3 * columns**2  # each cell has galaxies, stars and noise
    finished = 0
    for count in _injected(light, preset, request, psf_values, truth):
        finished += count
        report(finished, total)
    for objects in field_objects(request, camera.pixel_scale):
        light.add_objects(objects)
        _note_objects(truth, objects)
        finished += 1
        report(finished, total)
    noise = FieldNoise(camera, request.seed, request.split, columns)
    limits = [_full_pixel(band) for band in camera.instruments]
    for row in range(columns):
        for column in range(columns):
            for band in range(len(canvas)):
                _expose(canvas[band], maps[band], noise, (row, column, band), limits[band])
            finished += 1
            report(finished, total)
    for plane in (*canvas, *maps):
        plane.flush()
    return truth


def _injected(
    light: FieldLight,
    preset: Preset,
    request: MosaicRequest,
    psf_values: dict[str, float],
    truth: Truth,
) -> Iterator[int]:
    """Add the lenses on a grid that is as wide as they allow; yields how many were added."""
    camera = preset.instrument
    per_row = max(1, int(np.ceil(np.sqrt(request.lenses))))
    step = request.size / per_row
    side = int(_LENS_SIDE / camera.pixel_scale) | 1
    for start in range(0, request.lenses, _AT_ONCE):
        numbers = np.arange(start, min(start + _AT_ONCE, request.lenses))
        scenes = draw(
            preset, numbers, seed=request.seed, split=request.split, fixed=psf_values
        )
        x = np.floor((numbers % per_row + 0.5) * step)
        y = np.floor((numbers // per_row + 0.5) * step)
        light.add_scenes(scenes, x, y, side, preset.supersampling)
        classes = [preset.class_names[label] for label in labels(preset, numbers)]
        truth.add_lenses(numbers, classes, scenes, x, y)
        yield len(numbers)


def _note_objects(truth: Truth, objects: FieldObjects) -> None:
    truth.add_objects(objects.kind, objects.x, objects.y, objects.magnitude)


def _psf_values(preset: Preset, request: MosaicRequest) -> dict[str, float]:
    """Return the PSF of the field: that of its first sample."""
    names = [name for name, _ in psf_columns(preset.instrument) if name]
    if not names:
        return {}
    scenes = draw(preset, np.array([0]), seed=request.seed, split=request.split)
    return {name: float(scenes.params[name][0]) for name in names}


def _full_pixel(band: Any) -> float:
    """Return the flux in e-/s of a full pixel; infinite where none is stated."""
    if band.saturation is None:
        return float("inf")
    return float(band.saturation_flux(band.exposure_time))


def _expose(
    canvas: np.ndarray,
    sigma: np.ndarray,
    noise: FieldNoise,
    place: tuple[int, int, int],
    full: float,
) -> None:
    """Put noise on one block of one band, and write its noise map.

    Blocks come in the order of rows and columns, so that the margin of a block, which lies
    after it, is still light without noise.
    """
    row, column, band = place
    size = canvas.shape[0]
    first_row, first_column = row * BLOCK_SIDE, column * BLOCK_SIDE
    reach = BLOCK_SIDE + noise.margin
    light = np.asarray(
        canvas[first_row : first_row + reach, first_column : first_column + reach],
        dtype=np.float64,
    )
    light = np.minimum(light, full)
    missing = [(0, reach - length) for length in light.shape]
    padded = np.pad(light, missing, mode="edge")
    rows = slice(first_row, min(first_row + BLOCK_SIDE, size))
    columns = slice(first_column, min(first_column + BLOCK_SIDE, size))
    block = (slice(0, rows.stop - rows.start), slice(0, columns.stop - columns.start))
    sigma[rows, columns] = noise.sigma(light[block], band)
    exposed = light[block] + noise.noise(padded, row, column, band)[block]
    canvas[rows, columns] = np.minimum(exposed, full)


def _prepared(
    path: Path, camera: AnyCamera, request: MosaicRequest, psf_values: dict[str, float]
) -> tuple[list[np.memmap], list[np.memmap]]:
    """Write the headers of a file and its PSFs, and return its images and noise maps.

    Returns:
        Images and noise maps (H, W) of each band, empty parts of the file.
    """
    from astropy.io import fits

    size = request.size
    places: list[list[int]] = [[], []]
    names = [f"{name}_" if name else "" for name in camera.band_names or ("",)]
    with path.open("wb") as file:
        primary = fits.PrimaryHDU().header
        primary["EXTEND"] = True
        primary["INSTRUME"] = camera.name
        file.write(primary.tostring().encode())
        for name, band in zip(names, camera.instruments, strict=True):
            for number, role in enumerate(("SCI", "ERR")):
                header = mosaic_header(request, band, f"{name}{role}")
                if role == "SCI" and band.saturation is not None:
                    header["SATURATE"] = (_SATURATED * _full_pixel(band), "e-/s")
                file.write(header.tostring().encode())
                places[number].append(file.tell())
                length = 4 * size * size
                file.seek(length + -length % _BLOCK_BYTES, io.SEEK_CUR)
        file.truncate()
    _append_kernels(path, names, field_kernels(camera, psf_values))
    planes = [
        [
            np.memmap(path, dtype=">f4", mode="r+", offset=offset, shape=(size, size))
            for offset in offsets
        ]
        for offsets in places
    ]
    return planes[0], planes[1]


def _append_kernels(path: Path, names: list[str], kernels: list[np.ndarray]) -> None:
    """Append the PSF of each band to a file."""
    from astropy.io import fits

    for name, kernel in zip(names, kernels, strict=True):
        unit = fits.ImageHDU(kernel.astype(np.float32))
        unit.header["EXTNAME"] = f"{name}PSF"
        fits.append(path, unit.data, unit.header, verify=False)
