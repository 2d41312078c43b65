"""Checked images from a user's files: arrays, FITS, shards and data sets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import h5py
import numpy as np
from pydantic import ValidationError

from lenssim.data.exchange.published import Stack, read_stack
from lenssim.data.format.digests import check_shard
from lenssim.data.format.files import read_json
from lenssim.data.format.manifest import SHARDS
from lenssim.data.format.maps import IMAGE, parts_of, stacked
from lenssim.data.format.reading import decoded, open_shard
from lenssim.data.format.records import ShardRecord
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.locations import is_url
from lenssim.errors import DataError, LenssimError, from_validation
from lenssim.formats.files import IMAGE_ENDINGS, is_image_name
from lenssim.formats.images import as_pixels
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.inputs.fluxes import fluxes_of
from lenssim.learn.inputs.problems import Problem, Report, raise_problem
from lenssim.learn.inputs.resampling import Resampling, opened_dataset, resampled_stack
from lenssim.names import printable

__all__ = [
    "FileImages",
    "check_bands",
    "check_scale",
    "check_shape",
    "is_readable_name",
    "read_file_images",
    "usable_images",
]

_IMAGES_PER_CHUNK = 1024
_SCALE_TOLERANCE = 0.01
_SHARD_ENDINGS = (".h5", ".hdf5")


@dataclass(frozen=True)
class FileImages:
    """Images of a file or a part of it.

    Attributes:
        file: Path or URL.
        numbers: Sample numbers (N,) in a data set, positions (N,) in any other file.
        images: Images (N, C, H, W), float32.
        names: Names of lenses by number, where they have names.
    """

    file: str
    numbers: np.ndarray
    images: np.ndarray
    names: Mapping[int, str] = field(default_factory=dict)


class _Part(NamedTuple):
    """A part of a file: numbers (N,), images, and how they were read."""

    numbers: np.ndarray
    images: np.ndarray
    remark: str = ""
    names: Mapping[int, str] = MappingProxyType({})


def is_readable_name(name: str) -> bool:
    """Tell whether `read_file_images` reads a file of this name, by its ending, in capitals or not.

    Example:
        >>> is_readable_name("lens.FITS"), is_readable_name("notes.txt")
        (True, False)
    """
    return is_image_name(name) or name.lower().endswith(_SHARD_ENDINGS)


def read_file_images(
    path: Path | str,
    images_of_run: ImageDescription,
    picture: str = IMAGE,
    *,
    extension: str | None = None,
    resampling: Resampling | None = None,
    note: Callable[[str], None] = lambda message: None,
    report: Report = raise_problem,
) -> Iterator[FileImages]:
    """Yield the usable images of a file or data set in chunks.

    Args:
        path: A file of images, a shard, or a data set's folder or URL. The shards of a data set are
            checked byte for byte.
        images_of_run: What images the run takes.
        picture: The map to read from a data set. Files of images are taken to hold it.
        extension: Name or number of the FITS extension, or name of the array in a .npz archive.
        resampling: Brings images to the pixels of the run; None: those of other pixels are refused.
        note: Called with how a file was read, where there are several ways.
        report: Called with each image that has NaN, is flat (a map such as kappa may be) or that
            float32 cannot hold, and with a file that cannot be read or has another shape. By
            default its error is raised.

    Yields:
        The usable images.

    Raises:
        DataError: By default, at the first problem. The message names the file, the image and the
            remedy.
    """
    file = str(path)
    try:
        for part in _read(path, images_of_run, picture, extension, report, resampling):
            if part.remark:
                note(f"{printable(file)}: {part.remark}")
            check_shape(part.images, file, images_of_run)
            usable = usable_images(part.images, part.numbers, file, picture, report)
            if len(usable.images):
                yield replace(usable, names=part.names)
    except LenssimError as error:
        report(Problem(file, None, error))


def _read(
    location: Path | str,
    images_of_run: ImageDescription,
    picture: str,
    extension: str | None,
    report: Report,
    resampling: Resampling | None,
) -> Iterator[_Part]:
    """Yield the parts of a file or data set."""
    path = Path(location)
    name = path.name.lower()
    _check_location(location, path)
    if is_url(location) or path.is_dir():
        dataset = opened_dataset(location, picture, resampling)
        check_bands(dataset.bands, str(location), images_of_run)
        check_scale(dataset.pixel_scale, location, images_of_run)
        yield from _read_dataset(dataset, str(location), report)
    elif name.endswith(_SHARD_ENDINGS):
        yield _Part(*_read_shard(path, picture))
    else:
        stack = _read_stack(path, images_of_run, extension)
        numbers = np.arange(len(stack.images))
        if picture == IMAGE:
            numbers, stack = fluxes_of(stack, str(path), report)
        stack = resampled_stack(stack, path, resampling)
        check_scale(stack.pixel_scale, path, images_of_run)
        yield _Part(numbers, stack.images, stack.remark)


def _check_location(location: Path | str, path: Path) -> None:
    """Raise `DataError` if there is nothing that can be read as images."""
    if is_url(location):
        if is_readable_name(path.name.lower()):
            raise DataError(
                f"{location}: a URL is that of a data set's folder; fetch a single file first",
                code="url-of-file",
                location=location,
            )
    elif not path.exists():
        raise DataError(f"{printable(str(path))} does not exist", code="no-file", path=path)
    elif not path.is_dir() and not is_readable_name(path.name.lower()):
        raise DataError(
            f"{printable(str(path))}: give {', '.join(IMAGE_ENDINGS)} or .h5 files, or the "
            "folder of a data set",
            code="image-format",
            path=path,
        )


def _read_stack(
    path: Path, images_of_run: ImageDescription, extension: str | None
) -> Stack:
    """Return the images of a file and how they were read; an error names the bands wanted."""
    try:
        return read_stack(path, bands=images_of_run.shape[0], extension=extension)
    except DataError as error:
        if error.code != "image-shape" or not images_of_run.bands:
            raise
        raise DataError(
            f"{error}; the run takes the bands {', '.join(images_of_run.bands)}",
            code=error.code,
            **error.fields,
        ) from None


def _read_shard(path: Path, picture: str) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and images of a single shard."""
    _check_against_record(path)
    with open_shard(path) as file:
        maps = [_shard_map(file, path, part) for part in parts_of(picture)]
        return file["index"][...], stacked(maps)


def _shard_map(file: h5py.File, path: Path, name: str) -> np.ndarray:
    """Return the images of a shard, or its maps of a name."""
    if name == IMAGE:
        return decoded(file)
    if name not in file:
        raise DataError(
            f"{path} keeps no {name!r}, which this run looks at",
            code="map-missing",
            path=path,
            picture=name,
        )
    return file[name][...]


def _read_dataset(dataset: ShardDataset, file: str, report: Report) -> Iterator[_Part]:
    """Yield the images of a data set, without those of damaged shards."""
    remark = getattr(dataset, "remark", "")
    for shard_rows in np.split(np.arange(len(dataset)), np.cumsum(dataset.info.sizes)[:-1]):
        try:
            dataset.verified_digests(shard_rows[:1])
        except DataError as error:
            report(Problem(file, None, error))
            continue
        for start in range(0, len(shard_rows), _IMAGES_PER_CHUNK):
            rows = shard_rows[start : start + _IMAGES_PER_CHUNK]
            numbers = dataset.index[rows]
            yield _Part(numbers, dataset.images(rows), remark, dataset.names)
            remark = ""


def _check_against_record(path: Path) -> None:
    """Check a shard by its record in its data set; a shard outside of a data set has none."""
    sidecar = path.with_suffix(".json")
    if path.parent.name != SHARDS or not sidecar.is_file():
        return
    document = read_json(sidecar)
    document.pop("config_hash", None)
    try:
        record = ShardRecord.model_validate(document)
    except ValidationError as error:
        where = f"{sidecar} is not the record of a shard"
        raise from_validation(error, where, kind=DataError) from None
    check_shard(path, record)


def check_shape(images: np.ndarray, path: str, images_of_run: ImageDescription) -> None:
    """Refuse images (N, C, H, W) of another shape than a run takes, with a `DataError`."""
    shape = images.shape[1:]
    if shape == images_of_run.shape:
        return
    remedy = (
        "cut or resample the stamps to the size and pixel scale of the training data: lenssim "
        f"import fits with --pixel-scale and --num-pix {images_of_run.shape[-1]}"
    )
    if shape[0] != images_of_run.shape[0]:
        remedy = (
            "give the bands that the run was trained on, in their order, before the rows"
        )
    raise DataError(
        f"{printable(path)}: images of {' x '.join(map(str, shape))}, but the run "
        f"takes {images_of_run} (bands x rows x columns); {remedy}",
        code="image-shape",
        shape=shape,
        path=path,
    )


def check_bands(
    bands: tuple[str, ...], path: object, images_of_run: ImageDescription
) -> None:
    """Refuse a data set whose bands are others than a run takes, or in another order.

    Args:
        bands: Names of the data set's bands; empty where they have none.
        path: The data set, for the message.
        images_of_run: What images the run takes.

    Raises:
        DataError: Both have names, and these differ.
    """
    expected = images_of_run.bands
    if bands and expected and bands != expected:
        raise DataError(
            f"{printable(str(path))}: its bands are {', '.join(bands)}, but the run takes "
            f"{', '.join(expected)}; give a data set of these bands in this order",
            code="bands-differ",
            bands=bands,
            expected=expected,
        )


def check_scale(
    pixel_scale: float | None, path: object, images_of_run: ImageDescription
) -> None:
    """Refuse images whose pixels are larger or smaller than those a run takes.

    A network knows pixels alone: it would answer with a radius that is as wrong as the scale.

    Args:
        pixel_scale: Side of a pixel of the images [arcsec]; None where nothing states it.
        path: The images, for the message.
        images_of_run: What images the run takes.

    Raises:
        DataError: Both scales are known, and they differ by more than one per cent.
    """
    expected = images_of_run.pixel_scale
    if pixel_scale is None or expected is None:
        return
    if abs(pixel_scale / expected - 1) > _SCALE_TOLERANCE:
        raise DataError(
            f"{printable(str(path))}: its pixels are {pixel_scale:.4g} arcsec wide, those of "
            f"the run {expected:.4g}; repeat the command with --resample, or import the images: "
            f"lenssim import fits FOLDER --out D --pixel-scale {expected:.4g} "
            f"--num-pix {images_of_run.shape[-1]}",
            code="pixel-scale-differs",
            path=path,
            pixel_scale=pixel_scale,
            expected=expected,
        )


def usable_images(
    images: np.ndarray, numbers: np.ndarray, file: str, picture: str, report: Report
) -> FileImages:
    """Return the images that are fit for a network, as float32.

    Args:
        images: Images (N, C, H, W).
        numbers: Their numbers (N,) in the file.
        file: What messages call their source.
        picture: What they show; any but the image itself may be flat.
        report: Called with each image that has NaN, is flat or that float32 cannot hold.
    """
    pixels = []
    usable_numbers = []
    for image, number in zip(images, numbers.tolist(), strict=True):
        name = printable(file)
        if len(images) > 1:
            name += f", image {number}"
        try:
            pixels.append(as_pixels(image[None], name, may_be_flat=picture != IMAGE)[0])
            usable_numbers.append(number)
        except DataError as error:
            report(Problem(file, number, error))
    return FileImages(
        file, np.array(usable_numbers, dtype=np.int64), np.array(pixels, dtype=np.float32)
    )
