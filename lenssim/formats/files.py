"""Files of images in any format: which names they have, and what lies in one."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim.errors import DataError
from lenssim.formats.fits import read_fits
from lenssim.formats.npy import load_npy
from lenssim.formats.npz import read_npz
from lenssim.formats.sky_header import UNKNOWN, SkyHeader
from lenssim.names import printable

__all__ = ["IMAGE_ENDINGS", "Content", "is_image_name", "is_passed_over", "read_content"]

IMAGE_ENDINGS = (
    ".npy",
    ".npz",
    ".fits",
    ".fit",
    ".fts",
)  # those of FITS may have .gz or .fz behind them
_IMAGE_NAME = re.compile(r"\.(?:(npy)|(npz)|(fits|fit|fts)(?:\.gz|\.fz)?)$", re.IGNORECASE)
_LITTER = (
    "__macosx",
    "thumbs.db",
    "desktop.ini",
)  # what systems leave in folders and archives


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes:
        value: An array of numbers, or the nested list of an array of objects.
        remark: What was chosen of several things in the file, for the user to know; else "".
        sky: What its header says of the sky.
    """

    value: Any
    remark: str = ""
    sky: SkyHeader = UNKNOWN


def is_image_name(name: str) -> bool:
    """Tell whether a file of this name is read as images, by its ending, in capitals or not.

    Example:
        >>> is_image_name("a.NPY"), is_image_name("b.fits.gz"), is_image_name("c.png")
        (True, True, False)
    """
    return _IMAGE_NAME.search(name) is not None


def is_passed_over(name: str) -> bool:
    """Tell whether a name in a folder is nobody's data: hidden, or left behind by a system.

    Example:
        >>> is_passed_over("._a.npy"), is_passed_over("__MACOSX"), is_passed_over("a.npy")
        (True, True, False)
    """
    return name.startswith(".") or name.lower() in _LITTER


def read_content(path: Path, extension: str | None = None) -> Content:
    """Return what a file of images holds, whatever its format.

    Args:
        path: A file with one of `IMAGE_ENDINGS`.
        extension: Name or number of the FITS extension, or name of the array in a .npz archive, that is meant.

    Raises:
        DataError: The file cannot be read, or it does not say which of several images is meant.
    """
    ending = _IMAGE_NAME.search(path.name)
    if ending is None:
        raise DataError(
            f"{printable(str(path))}: images are read from {', '.join(IMAGE_ENDINGS)} files",
            code="image-format",
            path=path,
        )
    if ending[1]:
        if extension is not None:
            raise DataError(
                f"{printable(str(path))}: it holds one array without a name, so there is no "
                f"{printable(extension)!r} in it; leave --extension out",
                code="image-unclear",
                path=path,
                extension=extension,
            )
        return Content(load_npy(path))
    if ending[2]:
        return Content(*read_npz(path, extension))
    image = read_fits(path, extension)
    return Content(image.array, image.remark, image.sky)
