"""Parts of large FITS images: each part is read alone, so that memory does not grow with the image."""

import gzip
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lenssim.formats.fits import image_unit, open_fits
from lenssim.formats.limits import Refused, open_regular, refusing
from lenssim.machine import read_at

__all__ = ["FitsSections", "open_sections", "plain_file"]

_GZIP = b"\x1f\x8b"
_LARGEST_RATIO = 50  # bytes that one byte of a packed file may become
_ALWAYS_ALLOWED = 128 << 20  # bytes
_CHUNK = 1 << 22  # bytes
_FLOATS = {-32: ">f4", -64: ">f8"}  # by BITPIX


class FitsSections:
    """An image of a FITS file, of which parts are read.

    Args:
        unit: The unit of the file, as astropy opened it.
        file: The file.

    Attributes:
        shape: Shape of the image, without axes of length one.
        header: Its header.
    """

    def __init__(self, unit: Any, file: BinaryIO) -> None:
        self._unit = unit
        self._file = file
        self._stored_shape = tuple(int(side) for side in unit.shape)
        self.shape = tuple(side for side in self._stored_shape if side > 1)
        self.header = unit.header

    def read(self, rows: slice, columns: slice, plane: int | None = None) -> np.ndarray:
        """Return a part (H, W) of the image, in the machine's byte order.

        Args:
            rows: Which rows; both ends lie in the image.
            columns: Which columns.
            plane: Which image of a cube; None if it is none.

        Returns:
            Numbers float32, or float64 where float32 would lose digits.
        """
        window: list[Any] = [rows, columns]
        if plane is not None:
            window.insert(0, plane)
        parts = iter(window)
        key = tuple(next(parts) if side > 1 else 0 for side in self._stored_shape)
        if plane is None and self._is_plain():
            return self._plain(rows, columns)
        part = np.asarray(self._unit.section[key])
        if part.dtype.kind not in "iuf":
            raise Refused("it holds no plain numbers")
        digits: np.dtype[Any] = np.dtype(np.float32)
        if part.dtype.itemsize > 4 or part.dtype == np.dtype(">i4"):
            digits = np.dtype(np.float64)
        return np.ascontiguousarray(part, dtype=digits)

    def _is_plain(self) -> bool:
        """Return whether the image lies in the file as floats, without a scale."""
        header = self.header
        is_float = header.get("BITPIX") in _FLOATS and not header.get("ZIMAGE")
        is_image = len(self._stored_shape) == 2 and not hasattr(
            self._unit, "compression_type"
        )
        is_scaled = header.get("BSCALE", 1) != 1 or header.get("BZERO", 0) != 0
        return is_float and is_image and not is_scaled

    def _plain(self, rows: slice, columns: slice) -> np.ndarray:
        """Read a part row by row: astropy takes twenty times as long for a row."""
        stored = np.dtype(_FLOATS[self.header["BITPIX"]])
        part = np.empty((rows.stop - rows.start, columns.stop - columns.start), stored)
        start = int(self._unit.fileinfo()["datLoc"]) + columns.start * stored.itemsize
        step = self._stored_shape[1] * stored.itemsize
        for number, row in enumerate(range(rows.start, rows.stop)):
            line = memoryview(part[number]).cast("B")
            count = read_at(self._file.fileno(), line, start + row * step)
            if count != len(line):
                raise Refused("it ends before its image does")
        return part.astype(stored.newbyteorder("="))


@contextmanager
def open_sections(path: Path, name: str | None) -> Iterator[FitsSections]:
    """Open an image of a FITS file, plain or with compressed images, to read parts of it.

    Args:
        path: The file, not packed by gzip.
        name: Name of the image as `fits_names` gives it; None for the only one.

    Raises:
        DataError: The file cannot be read, or holds no such image.
    """
    with (
        open_fits(path, is_read_whole=False) as units,
        refusing(path, "FITS"),
        path.open("rb") as file,
    ):
        yield FitsSections(units[image_unit(units, name)], file)


def plain_file(path: Path, folder: Path) -> Path:
    """Return a file itself or, if it is packed by gzip, an unpacked copy of it.

    Args:
        path: The file.
        folder: The folder of the copy.

    Raises:
        DataError: The file cannot be read, is damaged, or becomes too large.
    """
    with refusing(path, "FITS"), open_regular(path) as (file, stored):
        if file.read(len(_GZIP)) != _GZIP:
            return path
        limit = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * stored)
        name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
        copy = folder / f"{name}.fits"
        file.seek(0)
        with gzip.open(file) as packed, copy.open("wb") as plain:
            shutil.copyfileobj(packed, _Limited(plain, limit), _CHUNK)
        return copy


class _Limited:
    """A file that takes so many bytes and no more."""

    def __init__(self, file: Any, limit: int) -> None:
        self._file = file
        self._left = limit

    def write(self, data: bytes) -> int:
        """Write data, or refuse them."""
        self._left -= len(data)
        if self._left < 0:
            raise Refused(
                f"unpacked it has more than {_LARGEST_RATIO} times the bytes of the file"
            )
        return int(self._file.write(data))
