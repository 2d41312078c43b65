"""Images as people publish them: arrays alone, and arrays with a mass or a label behind the pixels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lenssim.errors import DataError
from lenssim.formats.files import read_content
from lenssim.formats.images import as_images, as_pixels, described_stack
from lenssim.names import printable
from lenssim.simulate.bounds import LOG10_M_AXION

__all__ = ["PublishedImage", "Stack", "read_image", "read_stack"]

_LARGEST_MASS = 1e-3  # eV; the published axions have 1e-24 to 1e-22
_SMALLEST_MASS = 10**LOG10_M_AXION.low
_LARGEST_LABEL = 1000


@dataclass(frozen=True)
class PublishedImage:
    """One image of a file.

    Attributes:
        pixels: float32 (C, H, W).
        mass: The axion's mass in eV, if the file states one.
        label: A whole number that stands behind the pixels, if there is one.
        remark: What was chosen of several things in the file; else "".
    """

    pixels: np.ndarray
    mass: float | None = None
    label: int | None = None
    remark: str = ""

    def contents(self) -> Iterator[bytes | np.ndarray]:
        """Yield everything that a data set keeps of it, for the hash of an import."""
        yield f"{self.pixels.shape} {self.mass!r}\0".encode()
        yield np.ascontiguousarray(self.pixels)


class Stack(NamedTuple):
    """The images of a file.

    Attributes:
        images: Images (N, C, H, W) as they lie there, of any type of number.
        remark: What was chosen in the file, or that three axes were read as images; else "".
        pixel_scale: Side of a pixel [arcsec], if the header states it.
        unit: Unit of the pixels as the header states it, or "".
    """

    images: np.ndarray
    remark: str
    pixel_scale: float | None
    unit: str = ""


def read_image(
    path: Path, *, bands: int = 1, extension: str | None = None
) -> PublishedImage:
    """Return the one image of a file, with the mass or label that stands behind it.

    The file holds a square array, a vector of square length, or an array of objects: image and mass, image and label,
    or the rows of an image and a label. A vector may have a label as its last number.

    Args:
        path: A file of any format that `lenssim.formats.files` reads.
        bands: How many bands the image has.
        extension: Name or number of the FITS extension or array that is meant.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    name = printable(str(path))
    content = read_content(path, extension)
    array, number = _split(content.value, name)
    images = as_images(array, bands, name)
    if len(images) > 1:
        raise DataError(
            f"{name} holds {len(images)} images (its shape is {array.shape}); give a file an image, "
            f"or, if these are bands, --bands {len(images)}",
            code="image-shape",
            name=name,
            shape=array.shape,
        )
    mass, label = _meaning(number, name)
    return PublishedImage(as_pixels(images, name)[0], mass, label, content.remark)


def read_stack(path: Path, *, bands: int = 1, extension: str | None = None) -> Stack:
    """Return the images of a file as they lie there.

    The pixels are not looked at; `lenssim.formats.images.as_pixels` does that.

    Args:
        path: A file of any format that `lenssim.formats.files` reads.
        bands: How many bands an image has.
        extension: Name or number of the FITS extension or array that is meant.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    name = printable(str(path))
    content = read_content(path, extension)
    array, _ = _split(content.value, name)
    remarks = [content.remark, described_stack(array.shape, bands)]
    images = as_images(array, bands, name)
    remark = "; ".join(filter(None, remarks))
    return Stack(images, remark, content.sky.pixel_scale, content.sky.unit)


def _split(value: Any, name: str) -> tuple[np.ndarray, Any]:
    """The array of the pixels, and the number behind them or None."""
    if isinstance(value, list):
        return _split_list(value, name)
    array = np.asarray(value)
    if array.ndim == 1 and len(array) > 1 and math.isqrt(len(array)) ** 2 == len(array) - 1:
        return array[:-1], _label_or_number(array[-1])
    return array, None


def _label_or_number(number: Any) -> Any:
    """A label that was stored among floats as the whole number it is; any other number as it stands."""
    return int(number) if float(number).is_integer() else number


def _split_list(entries: list[Any], name: str) -> tuple[np.ndarray, Any]:
    if not entries:
        raise DataError(
            f"{name}: it holds an empty array of objects",
            code="published-layout",
            name=name,
        )
    shapes = [_shape(entry) for entry in entries]
    if len(entries) == 1:
        return _split(entries[0], name)
    if len(entries) == 2 and shapes[0] != () and shapes[1] == ():
        array, behind = _split(entries[0], name)
        return (
            (array, entries[1])
            if behind is None
            else (np.append(array, behind), entries[1])
        )
    number = entries[-1] if shapes[0] != () and shapes[-1] == () else None
    rows = entries if number is None else entries[:-1]
    if (
        len({_shape(row) for row in rows}) == 1
        and len(_shape(rows[0])) == 1
        and len(rows) == len(rows[0])
    ):
        return np.array([np.asarray(row) for row in rows]), number
    if set(shapes) == {()}:
        return _split(np.array(entries), name)
    raise DataError(
        f"{name}: an array of objects must be [image, axion mass], [image, label] or the rows of an image and "
        f"perhaps a label; got {len(entries)} entries of the shapes {', '.join(map(str, shapes[:3]))}, ...",
        code="published-layout",
        name=name,
    )


def _shape(entry: Any) -> tuple[int, ...]:
    """The shape of an entry; (-1,) where its own entries differ."""
    if not isinstance(entry, list):
        return np.shape(entry)
    inner = {_shape(part) for part in entry}
    return (len(entry), *inner.pop()) if len(inner) == 1 else (-1,)


def _meaning(number: Any, name: str) -> tuple[float | None, int | None]:
    """What stands behind the pixels: a mass in eV, or a label."""
    if number is None:
        return None, None
    stack = isinstance(number, int | np.integer | np.bool_) or (
        number > 0 and float(number).is_integer()
    )
    if stack and 0 <= number <= _LARGEST_LABEL:
        return None, int(number)
    mass = float(number)
    if not (math.isfinite(mass) and _SMALLEST_MASS <= mass < _LARGEST_MASS):
        raise DataError(
            f"{name}: the axion mass must be a positive number of eV from {_SMALLEST_MASS:g} to {_LARGEST_MASS:g}, "
            f"and a label a whole number from 0 on; got {mass:g}",
            code="published-layout",
            name=name,
            mass=mass,
        )
    return mass, None
