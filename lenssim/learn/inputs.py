"""Images from a user's files, checked before a network sees them: .npy, .fits, .h5 shards and data set folders."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenssim.data.convert import read_images
from lenssim.data.dataset import ShardDataset
from lenssim.data.npy import load_npy
from lenssim.data.places import is_url
from lenssim.data.reading import decoded, open_shard
from lenssim.data.truth import IMAGE
from lenssim.errors import DataError, LenssimError
from lenssim.learn.problems import Problem, Report, raise_problem

__all__ = ["ENDINGS", "Pictures", "read_pictures"]

_CHUNK = 1024
_FITS = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz")
ENDINGS = (".npy", *_FITS, ".h5", ".hdf5")  # of files that `read_pictures` reads, in lower case


@dataclass(frozen=True)
class Pictures:
    """Images (N, C, H, W) of one file or a part of it, and their numbers (N,) there."""

    file: str
    numbers: np.ndarray
    images: np.ndarray


def read_pictures(
    path: Path | str, image_shape: tuple[int, int, int], picture: str = IMAGE, report: Report = raise_problem
) -> Iterator[Pictures]:
    """Read the images of a file or data set that a network can see, a part at a time.

    Args:
        path: A file, or the folder or URL of a data set, whose shards are checked byte for byte.
        image_shape: Shape (C, H, W) that images must have.
        picture: What a data set shows; files of images are taken to hold it.
        report: Called with each image that is not finite or, unless `picture` may be so, flat; and with a file that
            cannot be read (further). By default its error is raised.

    Raises:
        DataError: By default. The message names the file, the image and the mend.
    """
    file = str(path)
    try:
        for numbers, images in _read(path, image_shape, picture, report):
            images = np.asarray(images, dtype=np.float32)
            _check_shape(images, file, image_shape)
            problems = list(_problems(images, numbers, file, flat=picture != IMAGE))
            for problem in problems:
                report(problem)
            usable = ~np.isin(numbers, [problem.image for problem in problems])
            if usable.any():
                yield Pictures(file, numbers[usable], images[usable])
    except LenssimError as error:
        report(Problem(file, None, error))


def _read(
    place: Path | str, image_shape: tuple[int, int, int], picture: str, report: Report
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    path = Path(place)
    name = path.name.lower()
    if is_url(place) and name.endswith((".h5", ".hdf5", ".npy", *_FITS)):
        raise DataError(f"{place}: a URL is that of a data set's folder; fetch a single file first")
    if is_url(place) or path.is_dir():
        yield from _read_dataset(ShardDataset(place, picture=picture), str(place), report)
    elif not path.is_file():
        raise DataError(f"{path} does not exist")
    elif name.endswith((".h5", ".hdf5")):
        with open_shard(path) as file:
            if picture != IMAGE and picture not in file:
                raise DataError(f"{path} keeps no {picture!r}, which this run looks at")
            yield file["index"][...], decoded(file) if picture == IMAGE else file[picture][...]
    elif name.endswith(".npy"):
        single = image_shape[0] == 1  # else a 3-D array is one image of several bands
        yield _numbered(_stack(read_images(path) if single else load_npy(path), image_shape, path))
    elif name.endswith(_FITS):
        yield _numbered(_stack(_read_fits(path), image_shape, path))
    else:
        raise DataError(f"{path}: give .npy, .fits or .h5 files, or the folder of a data set")


def _read_dataset(dataset: ShardDataset, file: str, report: Report) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The images of a data set, without those of shards that do not hold what was written."""
    for shard_rows in np.split(np.arange(len(dataset)), np.cumsum(dataset.facts.sizes)[:-1]):
        try:
            dataset.verified_digests(shard_rows[:1])
        except DataError as error:
            report(Problem(file, None, error))
            continue
        for start in range(0, len(shard_rows), _CHUNK):
            rows = shard_rows[start : start + _CHUNK]
            yield dataset.index[rows], dataset.images(rows)


def _numbered(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(images)), images


def _stack(content: object, image_shape: tuple[int, int, int], path: Path) -> np.ndarray:
    """An array as (N, C, H, W), whichever of its axes are left out."""
    array = np.asarray(content) if not isinstance(content, list) else np.empty(0)
    if array.ndim == 2:
        return array[None, None]
    if array.ndim == 3:
        return array[None] if array.shape == image_shape else array[:, None]
    if array.ndim == 4:
        return array
    raise DataError(f"{path}: an image has 2 axes, or 3 with its bands first, and a stack one more; got {array.shape}")


def _read_fits(path: Path) -> np.ndarray:
    """The first image of a FITS file, float64, rows = y as stored."""
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a truncated file warns first and fails below
            with fits.open(path, memmap=False) as units:
                images = [unit.data for unit in units if unit.is_image and unit.data is not None]
        if images:
            return np.asarray(images[0], dtype=np.float64)  # native byte order
    except Exception as error:  # astropy raises many kinds for a damaged file
        raise DataError(f"{path} cannot be read as FITS (damaged, or another format): {error}") from None
    raise DataError(f"{path} holds no image: neither its primary nor another unit has one")


def _check_shape(images: np.ndarray, path: str, image_shape: tuple[int, int, int]) -> None:
    if images.shape[1:] != image_shape:
        raise DataError(
            f"{path}: images of {' x '.join(map(str, images.shape[1:]))}, but the run takes "
            f"{' x '.join(map(str, image_shape))} (bands x rows x columns); cut or resample the stamps to the size and "
            "pixel scale of the training data"
        )


def _problems(images: np.ndarray, numbers: np.ndarray, path: str, *, flat: bool) -> Iterator[Problem]:
    """Those of the images (N, C, H, W) that no network should see; `flat` ones may be seen."""
    for image, number in zip(images.reshape(len(images), -1), numbers.tolist(), strict=True):
        where = f"{path}, image {number}" if len(images) > 1 else path
        if not np.isfinite(image).all():
            count = np.count_nonzero(~np.isfinite(image))
            text = f"{count} of its pixels are NaN or infinite; replace them by the sky's level first"
            yield Problem(path, number, DataError(f"{where}: {text}"))
        elif not flat and image.min() == image.max():
            text = f"the image is flat (every pixel is {image[0]:g}): there is nothing to see"
            yield Problem(path, number, DataError(f"{where}: {text}"))
