"""Images from a user's files, checked before a network sees them: arrays, FITS, shards and data set folders."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenssim.data.dataset import ShardDataset
from lenssim.data.places import is_url
from lenssim.data.published import read_stack
from lenssim.data.reading import decoded, open_shard
from lenssim.data.truth import IMAGE
from lenssim.errors import DataError
from lenssim.formats.files import IMAGE_ENDINGS, is_image_name
from lenssim.formats.images import as_pixels
from lenssim.names import printable

__all__ = ["Pictures", "read_pictures"]

_CHUNK = 1024
_SHARDS = (".h5", ".hdf5")


@dataclass(frozen=True)
class Pictures:
    """Images (N, C, H, W) of one file or a part of it, and their numbers (N,) there."""

    file: str
    numbers: np.ndarray
    images: np.ndarray


def read_pictures(
    path: Path | str,
    image_shape: tuple[int, int, int],
    picture: str = IMAGE,
    *,
    extension: str | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> Iterator[Pictures]:
    """Give the images of a file or data set, a part at a time.

    Args:
        path: A file of images, a shard, or a data set's folder or URL.
        image_shape: (C, H, W) of the images that are wanted.
        picture: What a data set shows; files of images are taken to hold it.
        extension: Name or number of the FITS extension, or name of the array in a .npz archive, that is meant.
        note: Is told how a file was read that could be read in several ways.

    Raises:
        DataError: Something cannot be read, has another shape, or holds an image with NaN, a flat one (a picture such
            as kappa may be), or one that float32 cannot hold. The message names the file, the image and the mend.
    """
    for numbers, images, remark in _read(path, image_shape, picture, extension):
        if remark:
            note(f"{printable(str(path))}: {remark}")
        yield Pictures(str(path), numbers, _checked(images, numbers, str(path), image_shape, picture))


def _read(
    place: Path | str, image_shape: tuple[int, int, int], picture: str, extension: str | None
) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    path = Path(place)
    name = path.name.lower()
    if is_url(place) and (is_image_name(name) or name.endswith(_SHARDS)):
        raise DataError(f"{place}: a URL is that of a data set's folder; fetch a single file first")
    if is_url(place) or path.is_dir():
        dataset = ShardDataset(place, picture=picture)
        for start in range(0, len(dataset), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(dataset)))
            yield dataset.index[rows], dataset.images(rows), ""
    elif not path.exists():
        raise DataError(f"{printable(str(path))} does not exist")
    elif name.endswith(_SHARDS):
        with open_shard(path) as file:
            if picture != IMAGE and picture not in file:
                raise DataError(f"{path} keeps no {picture!r}, which this run looks at")
            images = decoded(file) if picture == IMAGE else file[picture][...]
            yield file["index"][...], images, ""
    elif is_image_name(name):
        images, remark = read_stack(path, bands=image_shape[0], extension=extension)
        yield np.arange(len(images)), images, remark
    else:
        raise DataError(
            f"{printable(str(path))}: give {', '.join(IMAGE_ENDINGS)} or .h5 files, or the folder of a data set"
        )


def _checked(
    images: np.ndarray, numbers: np.ndarray, path: str, image_shape: tuple[int, int, int], picture: str
) -> np.ndarray:
    """The images as float32, fit for a network."""
    name = printable(path)
    if images.shape[1:] != image_shape:
        raise DataError(
            f"{name}: images of {' x '.join(map(str, images.shape[1:]))}, but the run takes "
            f"{' x '.join(map(str, image_shape))} (bands x rows x columns); cut or resample the stamps to the size and "
            "pixel scale of the training data"
        )
    return as_pixels(images, name, numbers=numbers, may_be_flat=picture != IMAGE)
