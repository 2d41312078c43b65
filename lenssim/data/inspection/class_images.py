"""The first images of each class of a data set, from shards that are checked."""

from collections.abc import Callable
from dataclasses import dataclass, field

import h5py
import numpy as np

from lenssim.data.format.digests import check_shard
from lenssim.data.format.manifest import read_plan
from lenssim.data.format.maps import IMAGE
from lenssim.data.format.reading import decoded, open_shard
from lenssim.data.streaming.locations import Location
from lenssim.errors import DataError
from lenssim.names import printable

__all__ = ["ClassImages", "Report", "first_of_each_class", "raise_error"]

ClassImages = dict[str, tuple[np.ndarray, list[str]]]
"""Images (k, C, H, W) and their k titles, by the name of their class."""

_NAMES = "texts/name"  # of imported lenses
_MAX_NAME = 18  # letters of a title

Report = Callable[[DataError], None]


def raise_error(error: DataError) -> None:
    """Raise an error, where nobody collects them."""
    raise error


@dataclass
class _Collection:
    """Images of one class, as they are collected."""

    images: list[np.ndarray] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)


def first_of_each_class(
    location: Location,
    count: int,
    picture: str = IMAGE,
    *,
    numbers: np.ndarray | None = None,
    report: Report = raise_error,
) -> ClassImages:
    """Return the first images of each class, in the order of sample numbers.

    Every byte of a shard is checked before its images are read.

    Args:
        location: Where the data set is stored.
        count: The number of images a class.
        picture: "image", or a map that the data set keeps.
        numbers: Only these sample numbers (m,); None for all.
        report: Called with the error of each damaged shard, whose images are left out. By
            default it is raised.

    Returns:
        Images (k, C, H, W) and their k titles, by class; k is at most `count`. A title is the
        sample number, and the name of the lens if it has one. A data set whose classes are not
        known has the one class "unlabelled".

    Raises:
        VerificationError: A shard does not hold what was written.
    """
    plan = read_plan(location.folder)
    collections = {name: _Collection() for name in plan.classes}
    for shard in range(plan.shards):
        if all(len(images.titles) >= count for images in collections.values()):
            break
        path = location.path(shard)
        try:
            check_shard(path, location.record(shard))
        except DataError as error:
            report(error)
            continue
        with open_shard(path) as file:
            for label, collection in enumerate(collections.values()):
                rows = _rows_of_label(file, label, numbers)
                _collect(file, rows[: count - len(collection.titles)], collection, picture)
    return {
        name: (np.stack(collection.images), collection.titles)
        for name, collection in collections.items()
        if collection.images
    }


def _rows_of_label(file: h5py.File, label: int, numbers: np.ndarray | None) -> np.ndarray:
    """Return the rows of a label in a shard, of those with the sample numbers."""
    is_wanted = file["labels"][...] == label
    if numbers is not None:
        is_wanted &= np.isin(file["index"][...], numbers)
    return np.flatnonzero(is_wanted)


def _collect(
    file: h5py.File, rows: np.ndarray, collection: _Collection, picture: str
) -> None:
    """Add the images of some rows of a shard to a collection."""
    index = file["index"][...]
    for row in rows.tolist():
        if picture == IMAGE:
            collection.images.append(decoded(file, row))
        else:
            collection.images.append(file[picture][row])
        collection.titles.append(_title(file, row, int(index[row])))


def _title(file: h5py.File, row: int, number: int) -> str:
    """Return the sample number of a row, and the name of its lens if it has one."""
    if _NAMES not in file:
        return str(number)
    name = printable(file[_NAMES][row].decode("utf-8", "replace"))
    if len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
    return f"{number}: {name}"
