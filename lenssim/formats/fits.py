"""The FITS file: its units, opened only after their sizes were counted, and the choice of one image among several."""

import gzip
import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from lenssim.formats.limits import (
    Refused,
    allowed_bytes,
    check_bytes,
    open_regular,
    refusing,
)
from lenssim.formats.sky_header import UNKNOWN, SkyHeader, read_sky_header

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header

__all__ = [
    "FitsImage",
    "fits_names",
    "image_unit",
    "open_fits",
    "read_fits",
    "read_fits_images",
]

_MAX_LISTED = 30  # images of a file that a message names
_GZIP = b"\x1f\x8b"
_FITS = b"SIMPLE"
_SCIENCE = "SCI"  # the unit that is the image, in files with several
_MOST_UNITS = 1 << 15
_PIXEL = 8  # bytes, once scaled to float64


@dataclass(frozen=True)
class FitsImage:
    """One image of a FITS file.

    Attributes:
        array: Its numbers, in the machine's byte order, rows = y as stored.
        remark: Which unit was taken and which were not, if there are several images; else "".
        sky: What its header says of the sky.
    """

    array: np.ndarray
    remark: str
    sky: SkyHeader = UNKNOWN


@contextmanager
def open_fits(path: Path, *, is_read_whole: bool = True) -> "Iterator[HDUList]":
    """Open a FITS file, also one packed by gzip or with compressed images, after its headers were checked.

    Whatever reading the units in the body provokes names the file as well.

    Args:
        path: The file.
        is_read_whole: Whether whole images are read. Where parts are read, images may have any size.

    Raises:
        DataError: The file cannot be read or is no FITS file, or a unit states more data than the file holds or than
            a file of its size may become.
    """
    from astropy.io import fits

    with (
        refusing(path, "FITS"),
        warnings.catch_warnings(),
        open_regular(path) as (file, stored),
    ):
        warnings.simplefilter("ignore")  # what astropy warns of is checked here
        stream, size = _unpacked(file, stored)
        plain = fits.open(stream, memmap=False, disable_image_compression=True)
        _check_units(plain, size, stored, is_read_whole)
        plain.close(closed=False)
        stream.seek(0)
        with fits.open(stream, memmap=False) as units:
            yield units


def _unpacked(file: BinaryIO, stored: int) -> tuple[BinaryIO, int]:
    """A stream of the plain FITS file, and its size."""
    stream = file
    size = stored
    if file.read(len(_GZIP)) == _GZIP:
        file.seek(0)
        limit = allowed_bytes(stored)
        with gzip.open(file) as packed:
            data = packed.read(limit + 1)
        if len(data) > limit:
            raise Refused(
                f"unpacked it has more than the {limit:,} bytes that are read from a file of its size"
            )
        stream = io.BytesIO(data)
        size = len(data)
    stream.seek(0)
    if stream.read(len(_FITS)) != _FITS:
        raise Refused("it cannot be read as FITS: it does not begin with SIMPLE")
    stream.seek(0)
    return stream, size


def _check_units(units: "HDUList", size: int, stored: int, is_read_whole: bool) -> None:
    for number, unit in enumerate(units):
        if number >= _MOST_UNITS:
            raise Refused(f"it holds more than {_MOST_UNITS:,} units")
        axes = [
            int(unit.header[f"NAXIS{axis + 1}"])
            for axis in range(int(unit.header.get("NAXIS", 0)))
        ]
        end = int(unit.fileinfo()["datLoc"]) + int(unit.size)
        if unit.size < 0 or any(side < 0 for side in axes):
            raise Refused(f"its unit {number} states the axes {axes}")
        if end > size:
            raise Refused(
                f"it cannot be read as FITS: its unit {number} ends at byte {end:,} of {size:,} (truncated, or damaged)"
            )
        if unit.header.get("ZIMAGE"):
            packed_axes = range(int(unit.header.get("ZNAXIS", 0)))
            axes = [int(unit.header[f"ZNAXIS{axis + 1}"]) for axis in packed_axes]
            if any(side < 0 for side in axes):
                raise Refused(f"its unit {number} states the axes {axes}")
            if is_read_whole:
                check_bytes(_PIXEL * math.prod(axes), allowed_bytes(stored))
        elif unit.is_image and axes and is_read_whole:
            check_bytes(_PIXEL * math.prod(axes))


def read_fits(path: Path, extension: str | None = None) -> FitsImage:
    """Return one image of a FITS file.

    Args:
        path: The file.
        extension: The name of the unit (EXTNAME, or EXTNAME,EXTVER) or its number, the primary unit being 0. Without
            it the only image is read, or of several the only one that is called SCI.

    Raises:
        DataError: The file cannot be read, holds no such image, or does not say which of its images is meant.
    """
    with open_fits(path) as units:
        names = _image_names(units)
        chosen = _choice(names, extension)
        unread = [name for number, name in names.items() if number != chosen]
        remark = f"took {names[chosen]}, not {', '.join(unread[:8])}" if unread else ""
        sky = _sky(units[chosen].header)
        if sky == UNKNOWN and chosen:
            sky = _sky(units[0].header)
        return FitsImage(_numbers(units[chosen].data, chosen), remark, sky)


def _sky(header: "Header") -> SkyHeader:
    """Return what a header says of the sky; a card that FITS does not know says nothing."""
    from astropy.io.fits import VerifyError

    try:
        return read_sky_header(header)
    except VerifyError:
        return read_sky_header(dict(_readable_cards(header)))


def _readable_cards(header: "Header") -> Iterator[tuple[str, object]]:
    from astropy.io.fits import VerifyError

    for card in header.cards:
        with suppress(VerifyError):
            yield card.keyword, card.value


def fits_names(path: Path) -> list[str]:
    """Return the names of the images of a FITS file, as `read_fits` takes them.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read.
    """
    with open_fits(path, is_read_whole=False) as units:
        return list(_image_names(units).values())


def read_fits_images(path: Path) -> list[np.ndarray]:
    """Return all images of a FITS file, in order.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read.
    """
    with open_fits(path) as units:
        return [_numbers(units[number].data, number) for number in _image_names(units)]


def image_unit(units: "HDUList", name: str | None) -> int:
    """Return the number of the unit that holds an image.

    Args:
        units: The units of a file.
        name: Its name as `fits_names` gives it; None for the only image, or the one called SCI.

    Raises:
        Refused: There is no such image, or it is not clear which is meant.
    """
    return _choice(_image_names(units), name)


def _image_names(units: "HDUList") -> dict[int, str]:
    """The images of a file: the number of each unit, and its name as `--extension` takes it."""
    images = {}
    for number, unit in enumerate(units):
        if unit.is_image and unit.header.get("NAXIS", 0) and all(unit.shape):
            images[number] = unit.name or str(number)
    names = list(images.values())
    for number, name in images.items():
        if names.count(name) > 1:
            images[number] = f"{name},{units[number].ver}"
    names = list(images.values())
    return {
        number: name if names.count(name) == 1 else str(number)
        for number, name in images.items()
    }


def _choice(names: dict[int, str], extension: str | None) -> int:
    if not names:
        raise Refused("it holds no image: neither its primary nor another unit has one")
    if extension is not None:
        chosen = extension.strip().upper()
        matching = [
            number
            for number, name in names.items()
            if chosen in (name.upper(), str(number))
        ]
        if len(matching) == 1:
            return matching[0]
        raise Refused(f"it has no image {extension!r}; it has {_listed(names)}")
    if len(names) == 1:
        return next(iter(names))
    science = [number for number, name in names.items() if name.upper() == _SCIENCE]
    if len(science) == 1:
        return science[0]
    raise Refused(
        f"it holds {len(names)} images: {_listed(names)}; choose one by --extension NAME or NUMBER"
    )


def _listed(names: dict[int, str]) -> str:
    labels = [_label(number, name) for number, name in names.items()]
    if len(labels) > _MAX_LISTED:
        labels = [*labels[:_MAX_LISTED], "..."]
    return ", ".join(labels)


def _label(number: int, name: str) -> str:
    return name if name == str(number) else f"{number} ({name})"


def _numbers(data: object, number: int) -> np.ndarray:
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "iuf":
        raise Refused(f"its unit {number} holds no plain numbers")
    return data.astype(data.dtype.newbyteorder("="), copy=False)
