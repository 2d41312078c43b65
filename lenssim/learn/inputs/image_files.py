"""Images from a user's files, checked before a network sees them: arrays, FITS, shards and data set folders."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from lenssim.data.exchange.published import read_stack
from lenssim.data.format.digests import check_shard
from lenssim.data.format.files import read_json
from lenssim.data.format.manifest import SHARDS, ShardRecord
from lenssim.data.format.maps import IMAGE
from lenssim.data.format.reading import decoded, open_shard
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.locations import is_url
from lenssim.errors import DataError, LenssimError
from lenssim.formats.files import IMAGE_ENDINGS, is_image_name
from lenssim.formats.images import as_pixels
from lenssim.learn.inputs.problems import Problem, Report, raise_problem
from lenssim.names import printable

__all__ = ["Pictures", "is_readable_name", "read_pictures"]

_CHUNK = 1024
_SHARDS = (".h5", ".hdf5")


@dataclass(frozen=True)
class Pictures:
    """Images (N, C, H, W) of one file or a part of it, and their numbers (N,) there."""

    file: str
    numbers: np.ndarray
    images: np.ndarray


def is_readable_name(name: str) -> bool:
    """Tell whether `read_pictures` reads a file of this name, by its ending, in capitals or not."""
    return is_image_name(name) or name.lower().endswith(_SHARDS)


def read_pictures(
    path: Path | str,
    image_shape: tuple[int, int, int],
    picture: str = IMAGE,
    *,
    extension: str | None = None,
    note: Callable[[str], None] = lambda message: None,
    report: Report = raise_problem,
) -> Iterator[Pictures]:
    """Give the images of a file or data set that a network can see, a part at a time.

    Args:
        path: A file of images, a shard, or a data set's folder or URL. The shards of a data set are checked byte for
            byte.
        image_shape: (C, H, W) of the images that are wanted.
        picture: What a data set shows; files of images are taken to hold it.
        extension: Name or number of the FITS extension, or name of the array in a .npz archive, that is meant.
        note: Is told how a file was read that could be read in several ways.
        report: Is called with each image that has NaN, is flat (a picture such as kappa may be) or that float32 cannot
            hold, and with a file that cannot be read or has another shape. By default its error is raised.

    Raises:
        DataError: By default, at the first problem. The message names the file, the image and the mend.
    """
    file = str(path)
    try:
        for numbers, images, remark in _read(path, image_shape, picture, extension, report):
            if remark:
                note(f"{printable(file)}: {remark}")
            _check_shape(images, file, image_shape)
            pictures = _usable(images, numbers, file, picture, report)
            if len(pictures.images):
                yield pictures
    except LenssimError as error:
        report(Problem(file, None, error))


def _read(
    place: Path | str,
    image_shape: tuple[int, int, int],
    picture: str,
    extension: str | None,
    report: Report,
) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    path = Path(place)
    name = path.name.lower()
    if is_url(place) and (is_image_name(name) or name.endswith(_SHARDS)):
        raise DataError(
            f"{place}: a URL is that of a data set's folder; fetch a single file first"
        )
    if is_url(place) or path.is_dir():
        yield from _read_dataset(ShardDataset(place, picture=picture), str(place), report)
    elif not path.exists():
        raise DataError(f"{printable(str(path))} does not exist")
    elif name.endswith(_SHARDS):
        _check_against_record(path)
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


def _read_dataset(
    dataset: ShardDataset, file: str, report: Report
) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """The images of a data set, without those of shards that do not hold what was written."""
    for shard_rows in np.split(np.arange(len(dataset)), np.cumsum(dataset.info.sizes)[:-1]):
        try:
            dataset.verified_digests(shard_rows[:1])
        except DataError as error:
            report(Problem(file, None, error))
            continue
        for start in range(0, len(shard_rows), _CHUNK):
            rows = shard_rows[start : start + _CHUNK]
            yield dataset.index[rows], dataset.images(rows), ""


def _check_against_record(path: Path) -> None:
    """Check a shard by the record that lies beside it in its data set; one that lies alone has none."""
    sidecar = path.with_suffix(".json")
    if path.parent.name != SHARDS or not sidecar.is_file():
        return
    document = read_json(sidecar)
    document.pop("config_hash", None)
    try:
        record = ShardRecord.model_validate(document)
    except ValidationError as error:
        raise DataError(
            f"{sidecar} is not the record of a shard: {error.errors()[0]['msg']}"
        ) from None
    check_shard(path, record)


def _check_shape(images: np.ndarray, path: str, image_shape: tuple[int, int, int]) -> None:
    if images.shape[1:] != image_shape:
        raise DataError(
            f"{printable(path)}: images of {' x '.join(map(str, images.shape[1:]))}, but the run takes "
            f"{' x '.join(map(str, image_shape))} (bands x rows x columns); cut or resample the stamps to the size and "
            "pixel scale of the training data"
        )


def _usable(
    images: np.ndarray, numbers: np.ndarray, file: str, picture: str, report: Report
) -> Pictures:
    """Those of the images (N, C, H, W) that are fit for a network, as float32."""
    pixels = []
    kept_numbers = []
    for image, number in zip(images, numbers.tolist(), strict=True):
        where = (
            printable(file) if len(images) == 1 else f"{printable(file)}, image {number}"
        )
        try:
            pixels.append(as_pixels(image[None], where, may_be_flat=picture != IMAGE)[0])
            kept_numbers.append(number)
        except DataError as error:
            report(Problem(file, number, error))
    return Pictures(
        file, np.array(kept_numbers, dtype=np.int64), np.array(pixels, dtype=np.float32)
    )
