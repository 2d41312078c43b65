"""Images for a run, from wherever they are: arrays, batches, data sets and files."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.api.dataset import Dataset
from lenssim.errors import DataError
from lenssim.names import printable, shown

if TYPE_CHECKING:
    from lenssim.learn.inputs.image_files import FileImages as ImageSet
    from lenssim.learn.inputs.problems import Report
    from lenssim.learn.inputs.resampling import Resampling
    from lenssim.learn.runs.run import RunRecord

__all__ = ["Images", "images_of", "numbers_of"]

Images = Any
"""An array (H, W), (N, H, W) or (N, C, H, W), a batch, a `Dataset`, a path or several paths."""

_ARRAY = "the array"  # as messages call it

_CHUNK = 1024  # images in memory at a time


def images_of(
    record: "RunRecord",
    images: Images,
    extension: str | None = None,
    report: "Report | None" = None,
    resampling: "Resampling | None" = None,
) -> "Iterator[ImageSet]":
    """Yield images that a run can see, a part at a time.

    Args:
        record: The run's record: which shape it takes, and which picture it looks at.
        images: An array, a batch, a `Dataset`, a path or several paths.
        extension: The FITS extension, or array of .npz files, to read.
        report: Called with each file or image that cannot be used; None: its error is raised.
        resampling: Brings images to the pixels of the run; None: those of other pixels are refused.

    Raises:
        DataError: An image cannot be read, has NaN or another shape.
    """
    from lenssim.learn.inputs.image_files import read_file_images
    from lenssim.learn.inputs.listing import image_files
    from lenssim.learn.inputs.problems import raise_problem
    from lenssim.notes import note

    report = report or raise_problem
    picture = record.config.picture
    if isinstance(images, Dataset):
        yield from _of_dataset(record, images, report, resampling)
    elif _is_path(images) or _is_paths(images):
        paths = images
        if _is_path(images):
            paths = [images]
        for path in image_files(paths, report):
            yield from read_file_images(
                path,
                record.images,
                picture,
                extension=extension,
                resampling=resampling,
                note=note,
                report=report,
            )
    else:
        yield _of_array(record, images, report, resampling)


def _of_dataset(
    record: "RunRecord",
    data: Dataset,
    report: "Report",
    resampling: "Resampling | None",
) -> "Iterator[ImageSet]":
    """Yield the images of a data set, or of one of its splits, a part at a time."""
    from lenssim.learn.inputs import image_files

    picture = record.config.picture
    name = str(data.folder)
    image_files.check_bands(data.bands, name, record.images)
    if resampling is None:
        image_files.check_scale(data.pixel_scale, name, record.images)
    for start in range(0, len(data), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(data)))
        images = data.images(rows, picture)
        if resampling is not None:
            images, words = resampling(images, data.pixel_scale, name, picture)
            _note_first(start, name, words)
        image_files.check_shape(images, name, record.images)
        usable = image_files.usable_images(images, data.index[rows], name, picture, report)
        yield replace(usable, names=data.source.names)


def _note_first(start: int, name: str, words: str) -> None:
    """Note what becomes of the images of a data set, at the first of them."""
    from lenssim.notes import note

    if words and start == 0:
        note(f"{printable(name)}: {words}")


def _of_array(
    record: "RunRecord",
    images: Images,
    report: "Report",
    resampling: "Resampling | None",
) -> "ImageSet":
    """Return images from an array or a batch."""
    from lenssim.formats.images import check_numbers
    from lenssim.learn.inputs.image_files import check_shape, usable_images

    array = numbers_of(images)
    check_numbers(array.dtype, _ARRAY)
    stack = _stacked(array, record)
    if resampling is not None:
        stack, words = resampling(stack, None, _ARRAY, record.config.picture)
        _note_first(0, _ARRAY, words)
    check_shape(stack, _ARRAY, record.images)
    numbers = np.arange(len(stack))
    return usable_images(stack, numbers, _ARRAY, record.config.picture, report)


def _stacked(array: np.ndarray, record: "RunRecord") -> np.ndarray:
    """Return an array as images (N, C, H, W); where they are none, say what the run takes."""
    from lenssim.formats.images import as_images

    try:
        return as_images(array, record.image_shape[0], _ARRAY)
    except DataError as error:
        raise DataError(
            f"{error}; the run takes {record.images}", code=error.code, **error.fields
        ) from None


def numbers_of(images: Images) -> np.ndarray:
    """Return images, however Python holds them, as an array of numbers.

    Args:
        images: An array, a tensor, a list of either, or a batch of a loader.

    Raises:
        DataError: It holds no numbers, or pixels are masked.

    Example:
        >>> numbers_of([np.zeros((64, 64)), np.ones((64, 64))]).shape
        (2, 64, 64)
    """
    if isinstance(images, Mapping):
        images = _image_of_batch(images)
    if isinstance(images, list | tuple):
        images = [_plain(image) for image in images]
    try:
        return np.asarray(_plain(images))
    except DataError:
        raise
    except Exception as error:  # whatever the class of a stranger raises
        raise DataError(
            f"{_ARRAY}: {shown(images)} is no array of images, nor a path: "
            f"{printable(str(error))[:200]}",
            code="not-an-array",
        ) from None


def _image_of_batch(batch: Mapping[str, Any]) -> Images:
    """Return the images of a batch."""
    if "image" not in batch:
        raise DataError(
            f"a batch holds its images as `image`; this one has {shown(list(batch))}",
            code="not-an-array",
        )
    return batch["image"]


def _plain(images: Images) -> Images:
    """Return what numpy can read of a tensor, and refuse masked pixels."""
    if hasattr(images, "detach"):
        tensor = images.detach().cpu()
        return tensor.double() if tensor.is_floating_point() else tensor
    masked = int(np.ma.count_masked(images)) if isinstance(images, np.ma.MaskedArray) else 0
    if masked:
        raise DataError(
            f"{_ARRAY}: its mask covers {masked} pixels, which a network cannot leave out: "
            "give values to them (images.filled(...)), or leave those images out",
            code="image-values",
            masked=masked,
        )
    return images


def _is_path(images: Images) -> bool:
    return isinstance(images, str | Path)


def _is_paths(images: Images) -> bool:
    return isinstance(images, list | tuple) and all(_is_path(path) for path in images)
