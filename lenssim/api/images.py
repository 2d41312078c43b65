"""Images for a run, from wherever they are: arrays, batches, data sets and files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.api.dataset import Dataset
from lenssim.errors import DataError

if TYPE_CHECKING:
    from lenssim.learn.inputs.image_files import FileImages as ImageSet
    from lenssim.learn.inputs.problems import Report
    from lenssim.learn.runs.run import RunRecord

__all__ = ["Images", "as_stack", "images_of"]

Images = Any
"""An array (H, W), (N, H, W) or (N, C, H, W), a batch, a `Dataset`, a path or several paths."""

_CHUNK = 1024  # images in memory at a time


def images_of(
    record: "RunRecord",
    images: Images,
    extension: str | None = None,
    report: "Report | None" = None,
) -> "Iterator[ImageSet]":
    """Yield images that a run can see, a part at a time.

    Args:
        record: The run's record: which shape it takes, and which picture it looks at.
        images: An array, a batch, a `Dataset`, a path or several paths.
        extension: The FITS extension, or array of .npz files, to read.
        report: Called with each file or image that cannot be used; None: its error is raised.

    Raises:
        DataError: An image cannot be read, has NaN or another shape.
    """
    from lenssim.learn.inputs.image_files import read_file_images
    from lenssim.learn.inputs.listing import image_files
    from lenssim.learn.inputs.problems import raise_problem
    from lenssim.notes import note

    report = report or raise_problem
    shown = record.config.picture
    if isinstance(images, Dataset):
        yield from _of_dataset(record, images, report)
    elif _is_path(images) or _is_paths(images):
        paths = images
        if _is_path(images):
            paths = [images]
        for path in image_files(paths, report):
            yield from read_file_images(
                path,
                record.images,
                shown,
                extension=extension,
                note=note,
                report=report,
            )
    else:
        yield _of_array(record, images, report)


def _of_dataset(
    record: "RunRecord", data: Dataset, report: "Report"
) -> "Iterator[ImageSet]":
    """Yield the images of a data set, or of one of its splits, a part at a time."""
    from lenssim.learn.inputs.image_files import check_bands, check_shape, usable_images

    shown = record.config.picture
    name = str(data.folder)
    check_bands(data.bands, name, record.images)
    for start in range(0, len(data), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(data)))
        images = data.images(rows, shown)
        check_shape(images, name, record.images)
        yield usable_images(images, data.index[rows], name, shown, report)


def _of_array(record: "RunRecord", images: Images, report: "Report") -> "ImageSet":
    """Return images from an array or a batch."""
    from lenssim.learn.inputs.image_files import check_shape, usable_images

    if isinstance(images, Mapping):
        images = images["image"]
    stack = as_stack(np.asarray(images), record.image_shape[0])
    check_shape(stack, "the array", record.images)
    numbers = np.arange(len(stack))
    shown = record.config.picture
    return usable_images(stack, numbers, "the array", shown, report)


def as_stack(images: np.ndarray, bands: int) -> np.ndarray:
    """Return images as (N, C, H, W).

    Args:
        images: One image (H, W), images of one band (N, H, W), one image of several bands
            (C, H, W), or images (N, C, H, W).
        bands: Number of bands C that is wanted.

    Raises:
        DataError: The array has none of these shapes.

    Example:
        >>> as_stack(np.zeros((64, 64)), 1).shape, as_stack(np.zeros((5, 64, 64)), 1).shape
        ((1, 1, 64, 64), (5, 1, 64, 64))
    """
    if images.ndim == 2:
        return images[None, None]
    if images.ndim == 3 and bands == 1:
        return images[:, None]
    if images.ndim == 3:
        return images[None]
    if images.ndim == 4:
        return images
    raise DataError(
        f"images are an array (H, W), (N, H, W) or (N, C, H, W), got {images.shape}",
        code="image-shape",
        shape=images.shape,
    )


def _is_path(images: Images) -> bool:
    return isinstance(images, str | Path)


def _is_paths(images: Images) -> bool:
    return isinstance(images, list | tuple) and all(_is_path(path) for path in images)
