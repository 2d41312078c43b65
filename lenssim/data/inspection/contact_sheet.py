"""Contact sheets: what a data set looks like, one figure a class."""

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from lenssim.data.format.digests import check_shard
from lenssim.data.format.files import make_folder, write
from lenssim.data.format.manifest import read_plan
from lenssim.data.format.maps import IMAGE, check_kept
from lenssim.data.format.reading import decoded, open_shard
from lenssim.data.streaming.locations import open_complete, path_of
from lenssim.drawing import plain_style, png_bytes
from lenssim.errors import ConfigError, StorageError

__all__ = ["ClassImages", "contact_sheet", "contact_sheets", "first_of_each_class"]

_SIGMA_RANGE = 5  # sigma, at which the colours of residuals end
_MAX_IMAGES = 400  # on a contact sheet
_STRETCH = 8  # of the asinh; larger shows fainter parts
_PERCENTILES = (1, 99.8)  # of the pixels, between which the stretch is defined

ClassImages = dict[str, tuple[np.ndarray, np.ndarray]]
"""Images (k, C, H, W) and their sample numbers (k,), by the name of their class."""


@dataclass
class _Collection:
    """Images of one class, as they are collected."""

    images: list[np.ndarray] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


def first_of_each_class(
    folder: Path | str, count: int, picture: str = IMAGE
) -> ClassImages:
    """Return the first images of each class, in the order of sample numbers.

    Args:
        folder: Folder or URL of the data set.
        count: The number of images a class.
        picture: "image", or a map that the data set keeps.

    Returns:
        Images (k, C, H, W) and their sample numbers (k,), by class; k is at most `count`. A
        data set whose classes are not known has the one class "unlabelled".

    Raises:
        ConfigError: The data set keeps no such map.
        VerificationError: A shard does not hold what was written.
    """
    location = open_complete(folder)
    manifest = location.manifest
    check_kept(folder, read_plan(location.folder).config, picture)
    collections = {name: _Collection() for name in manifest.classes}
    for shard in range(len(manifest.shards)):
        if all(len(images.numbers) >= count for images in collections.values()):
            break
        path = location.path(shard)
        check_shard(path, location.record(shard))
        with open_shard(path) as file:
            for label, collection in enumerate(collections.values()):
                _collect(file, label, collection, count, picture)
    return {
        name: (np.stack(collection.images), np.array(collection.numbers))
        for name, collection in collections.items()
        if collection.images
    }


def _collect(
    file: h5py.File, label: int, collection: _Collection, count: int, picture: str
) -> None:
    """Add the images of a label in a shard to a collection, up to `count` in all."""
    index = file["index"][...]
    rows = np.flatnonzero(file["labels"][...] == label)
    for row in rows[: count - len(collection.numbers)].tolist():
        if picture == IMAGE:
            collection.images.append(decoded(file, row))
        else:
            collection.images.append(file[picture][row])
        collection.numbers.append(int(index[row]))


@plain_style()
def contact_sheet(
    images: np.ndarray, numbers: np.ndarray, title: str, *, signed: bool = False
) -> bytes:
    """Draw a grid of images, each under its sample number.

    The first band is shown, y upwards, with an asinh stretch.

    Args:
        images: Images (k, C, H, W).
        numbers: Sample numbers (k,).
        title: The title of the sheet.
        signed: Whether to show values above zero in red and below in blue, from -5 to 5.

    Returns:
        A PNG file.
    """
    from matplotlib.figure import Figure

    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    size = (1.35 * columns, 1.5 * rows + 0.45)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=10)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, number in zip(axes, images[:, 0], numbers, strict=False):
        style = {"origin": "lower", "interpolation": "nearest"}
        if signed:
            limits = {"vmin": -_SIGMA_RANGE, "vmax": _SIGMA_RANGE}
            axis.imshow(image, cmap="RdBu_r", **limits, **style)
        else:
            axis.imshow(_stretched(image), cmap="magma", **style)
        axis.set_title(str(number), fontsize=6, pad=1.5)
    return png_bytes(figure, dpi=130)


def _stretched(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W) in an asinh stretch between percentiles of its pixels."""
    low, high = np.percentile(image, _PERCENTILES)
    return np.arcsinh(_STRETCH * (image - low) / (high - low or 1.0))


def contact_sheets(
    folder: Path | str, target: Path, count: int = 25, picture: str = IMAGE
) -> list[Path]:
    """Write a contact sheet of every class.

    Args:
        folder: Folder or URL of the data set.
        target: The folder of the files `contact-<class>.png`, or `<picture>-<class>.png`.
        count: The number of images on a sheet.
        picture: "image", or a map that the data set keeps.

    Returns:
        The files.

    Raises:
        ConfigError: The data set keeps no such map, or the count is not in 1 to 400.
        StorageError: The files cannot be written.
    """
    if not 1 <= count <= _MAX_IMAGES:
        raise ConfigError(
            f"a contact sheet shows 1 to {_MAX_IMAGES} images, got {count}",
            code="option-range",
            option="count",
            value=count,
        )
    images = first_of_each_class(folder, count, picture)
    try:
        make_folder(target)
        return _write_sheets(folder, target, images, picture)
    except StorageError as error:
        raise StorageError(
            f"the pictures cannot be kept in {target}; choose another folder by --out\n"
            f"{error}",
            code="write-failed",
            target=target,
        ) from None


def _write_sheets(
    folder: Path | str, target: Path, class_images: ClassImages, picture: str
) -> list[Path]:
    """Write a file a class."""
    prefix = picture
    suffix = f", {picture}"
    if picture == IMAGE:
        prefix = "contact"
        suffix = ""
    signed = picture == "residual"
    paths = []
    for name, (images, numbers) in class_images.items():
        path = target / f"{prefix}-{name}.png"
        title = f"{path_of(folder).name}: {name}{suffix}"
        write(path, contact_sheet(images, numbers, title, signed=signed))
        paths.append(path)
    return paths
