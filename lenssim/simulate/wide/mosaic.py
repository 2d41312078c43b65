"""The mosaic: a FITS file of any size with its noise map, PSF, and a table of what lies in it."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lenssim.errors import ConfigError, IncompleteError, StorageError
from lenssim.simulate.camera_choice import psf_columns
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import AnyCamera, instrument
from lenssim.simulate.preset import Preset
from lenssim.simulate.wide.journal import Journal
from lenssim.simulate.wide.light import FieldLight
from lenssim.simulate.wide.losses import FieldLosses
from lenssim.simulate.wide.noise import BLOCK_SIDE, FieldNoise
from lenssim.simulate.wide.planes import Planes, full_pixel, prepared_planes
from lenssim.simulate.wide.population import field_objects
from lenssim.simulate.wide.request import MosaicRequest
from lenssim.simulate.wide.truth import Truth

__all__ = ["truth_path", "write_mosaic"]

_LENS_SIDE = 20.0  # arcsec: side of the stamps of lenses
_AT_ONCE = 64  # lenses that are drawn together


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
    stop: Callable[[], bool] = lambda: False,
) -> Truth:
    """Simulate a wide field and write it, and the table of what lies in it.

    Memory does not grow with the field, which is a file from the start. The file gets its name
    when it is whole.

    Args:
        path: The FITS file. For each band it holds an image, a noise map and a PSF, and a mask
            if there are bad pixels.
        preset: What is injected.
        request: Size and content.
        report: Is told how many parts of how many are done.
        stop: Whether to begin no further part.

    Raises:
        ConfigError: The camera has no zero point, or the field is too small for so many lenses.
        StorageError: The disk is full or cannot be written.
        IncompleteError: Work stopped before its end; the same call continues it.
    """
    if request.camera is not None:
        preset = preset.model_copy(update={"instrument": instrument(request.camera)})
        preset.check()
    _check(preset, request)
    journal = Journal(path, preset, request)
    try:
        truth = _write(journal, preset, request, report, stop)
        table = truth_path(path)
        unfinished = table.with_name(f".tmp-{table.name}-{uuid.uuid4().hex}")
        unfinished.write_bytes(truth.csv_bytes())
        unfinished.replace(table)
        journal.field.replace(path)
    except IncompleteError:
        raise
    except OSError as error:
        journal.remove()
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; mend that or choose another file",
            code="write-failed",
            path=path,
        ) from None
    except BaseException:
        journal.remove()
        raise
    journal.remove()
    return truth


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
    journal: Journal,
    preset: Preset,
    request: MosaicRequest,
    report: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> Truth:
    """Write the file under its temporary name, or go on with it."""
    camera = preset.instrument
    psf_values = _psf_values(preset, request)
    finished_before = journal.open()
    planes = prepared_planes(journal.field, camera, request, psf_values, finished_before)
    truth = Truth(camera.pixel_scale, request)
    columns = -(-request.size // BLOCK_SIDE)
    total = request.lenses + 3 * columns**2  # each cell has galaxies, stars and noise
    finished = 0
    for count, add in _work(planes, preset, request, psf_values, truth):
        if finished >= finished_before:
            if stop():
                planes.flush()
                journal.close(finished)
                raise IncompleteError(
                    f"{finished} of {total} parts of the field are written; repeat the "
                    "command to go on",
                    code="stopped",
                )
            add()
        finished += count
        report(finished, total)
    planes.flush()
    return truth


def _work(
    planes: Planes,
    preset: Preset,
    request: MosaicRequest,
    psf_values: dict[str, float],
    truth: Truth,
) -> Iterator[tuple[int, Callable[[], None]]]:
    """Note what lies in each part of the field, and yield its size and what adds it."""
    camera = preset.instrument
    light = FieldLight(planes.images, camera, engine("batched"), psf_values)
    yield from _injected(light, preset, request, psf_values, truth)
    for objects in field_objects(request, camera.pixel_scale):
        truth.add_objects(objects.kind, objects.x, objects.y, objects.magnitude)
        yield 1, partial(light.add_objects, objects)
    columns = -(-request.size // BLOCK_SIDE)
    noise = FieldNoise(camera, request.seed, request.split, columns)
    losses = FieldLosses(request)
    for row in range(columns):
        for column in range(columns):
            yield 1, partial(_expose_block, planes, camera, noise, losses, (row, column))


def _injected(
    light: FieldLight,
    preset: Preset,
    request: MosaicRequest,
    psf_values: dict[str, float],
    truth: Truth,
) -> Iterator[tuple[int, Callable[[], None]]]:
    """Yield the lenses on a grid that is as wide as they allow."""
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
        classes = [preset.class_names[label] for label in labels(preset, numbers)]
        truth.add_lenses(numbers, classes, scenes, x, y)
        add = partial(light.add_scenes, scenes, x, y, side, preset.supersampling)
        yield len(numbers), add


def _psf_values(preset: Preset, request: MosaicRequest) -> dict[str, float]:
    """Return the PSF of the field: that of its first sample."""
    names = [name for name, _ in psf_columns(preset.instrument) if name]
    if not names:
        return {}
    scenes = draw(preset, np.array([0]), seed=request.seed, split=request.split)
    return {name: float(scenes.params[name][0]) for name in names}


def _expose_block(
    planes: Planes,
    camera: AnyCamera,
    noise: FieldNoise,
    losses: FieldLosses,
    place: tuple[int, int],
) -> None:
    """Put noise on one block of all bands, and write its noise maps and masks.

    Blocks come in the order of rows and columns, so that the margin of a block, which lies
    after it, is still light without noise.
    """
    row, column = place
    size = planes.images[0].shape[0]
    rows = slice(row * BLOCK_SIDE, min((row + 1) * BLOCK_SIDE, size))
    columns = slice(column * BLOCK_SIDE, min((column + 1) * BLOCK_SIDE, size))
    block = (slice(0, rows.stop - rows.start), slice(0, columns.stop - columns.start))
    for band, instrument_of_band in enumerate(camera.instruments):
        full = full_pixel(instrument_of_band)
        light = _block_with_margin(planes.images[band], place, noise.margin, full)
        sigma = noise.sigma(light[0][block], band)
        exposed = light[0][block] + noise.noise(light[1], row, column, band)[block]
        exposed = np.minimum(exposed, full)
        if planes.masks:
            lost = losses.lost(row, column, band)[block]
            exposed = np.where(lost, exposed + losses.glare * sigma, exposed)
            planes.masks[band][rows, columns] = lost
        planes.sigmas[band][rows, columns] = sigma
        planes.images[band][rows, columns] = exposed


def _block_with_margin(
    canvas: np.ndarray, place: tuple[int, int], margin: int, full: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the light of a block with the margin after it, and the same to its full size."""
    row, column = (number * BLOCK_SIDE for number in place)
    reach = BLOCK_SIDE + margin
    light = np.asarray(canvas[row : row + reach, column : column + reach], dtype=np.float64)
    light = np.minimum(light, full)
    missing = [(0, reach - length) for length in light.shape]
    return light, np.pad(light, missing, mode="edge")
