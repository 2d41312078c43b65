"""Arrays as images: which of their axes are images, bands, rows and columns, and pixels as float32 can hold them."""

import math

import numpy as np

from lenssim.errors import DataError

__all__ = ["as_images", "as_pixels", "check_numbers", "described_stack", "pixels_of"]

_REAL = "biuf"  # kinds of numpy's types
_SMALLEST_SIDE = 4  # pixels
_MOST_BANDS = 16  # what a last axis may be if it looks like bands
_LARGEST_LOSS = 0.01  # of an image's range, by rounding it to float32


def as_images(array: np.ndarray, bands: int, where: str) -> np.ndarray:
    """Return an array as a stack of images (N, C, H, W).

    Axes of length one are dropped first. What is left is a vector of square length, an image (H, W), a stack of
    images (N, H, W), or with several bands an image (C, H, W) or a stack (N, C, H, W).

    Args:
        array: Numbers of any shape.
        bands: The number of bands C that are wanted. It decides whether three axes are bands or images.
        where: The file, for messages.

    Returns:
        A view of the array, N at least 1, H = W.

    Raises:
        DataError: The shape is none of these.

    Example:
        >>> as_images(np.ones((1, 64, 64, 1)), 1, "a.npy").shape
        (1, 1, 64, 64)
        >>> as_images(np.ones((3, 64, 64)), 1, "a.npy").shape, as_images(np.ones((3, 64, 64)), 3, "a.npy").shape
        ((3, 1, 64, 64), (1, 3, 64, 64))
    """
    if not array.size:
        raise DataError(
            f"{where}: it holds no image: its shape is {array.shape}",
            code="image-shape",
            shape=array.shape,
            where=where,
        )
    if array.ndim == 4 and array.shape[-1] == array.shape[-2] > 1:
        shape = array.shape  # images, bands, rows, columns, whatever the length of each
    else:
        shape = _with_all_axes(tuple(side for side in array.shape if side > 1), bands)
    if not shape or shape[-1] != shape[-2] or shape[-1] < _SMALLEST_SIDE:
        raise DataError(
            f"{where}: {_not_square(array.shape)}",
            code="image-shape",
            shape=array.shape,
            where=where,
        )
    if shape[1] != bands:
        raise DataError(
            f"{where}: its images have {shape[1]} bands, but {bands} {'is' if bands == 1 else 'are'} wanted: "
            f"the bands come before rows and columns, got shape {array.shape}",
            code="image-shape",
            shape=array.shape,
            where=where,
        )
    return array.reshape(shape)


def check_numbers(dtype: np.dtype, where: str) -> None:
    """Refuse an array whose entries are no real numbers.

    Args:
        dtype: Type of the entries.
        where: The file, for messages.

    Raises:
        DataError: They are complex numbers, texts, objects, dates or records.
    """
    if dtype.kind not in _REAL:
        raise DataError(
            f"{where}: it holds {str(dtype)[:100]}, not numbers that an image can be made of",
            code="image-values",
            where=where,
        )


def _with_all_axes(sides: tuple[int, ...], bands: int) -> tuple[int, ...]:
    """The shape (N, C, H, W) of an array without axes of length one; () if there is none."""
    if len(sides) == 1:
        side = math.isqrt(sides[0])
        return (1, 1, side, side) if side * side == sides[0] else ()
    if len(sides) == 2:
        return (1, 1, *sides)
    if len(sides) == 3:
        return (sides[0], 1, *sides[1:]) if bands == 1 else (1, *sides)
    return sides if len(sides) == 4 else ()


def _not_square(shape: tuple[int, ...]) -> str:
    sides = [side for side in shape if side > 1]
    if (
        len(sides) in (3, 4)
        and sides[-3] == sides[-2] > sides[-1]
        and sides[-1] <= _MOST_BANDS
    ):
        return (
            f"its {sides[-1]} bands seem to come last, in the shape {shape}; "
            "bands come first: numpy.moveaxis(array, -1, -3)"
        )
    return (
        f"an image is a square array such as 64 x 64, with bands first, and a stack of images has the shape "
        f"(N, H, W) or (N, C, H, W); got shape {shape}"
    )


def described_stack(shape: tuple[int, ...], bands: int) -> str:
    """Say how an array was read whose three axes could be bands or images; "" for one that is plain.

    Args:
        shape: The shape as it lies in the file.
        bands: The number of bands that were wanted.
    """
    if (
        bands == 1
        and len(shape) == 3
        and shape[1] == shape[2]
        and 2 <= shape[0] <= _MOST_BANDS
    ):
        return (
            f"read as {shape[0]} images of one band, not as one image of {shape[0]} bands"
        )
    return ""


def as_pixels(
    images: np.ndarray,
    where: str,
    *,
    numbers: np.ndarray | None = None,
    may_be_flat: bool = False,
) -> np.ndarray:
    """Return images as float32, checked after the conversion: what is kept is what was looked at.

    Args:
        images: Numbers (N, C, H, W) of any type.
        where: The file, for messages.
        numbers: Numbers (N,) of the images there; default: counted from 0.
        may_be_flat: Whether an image whose pixels are all equal is accepted.

    Raises:
        DataError: An image holds no real numbers, has pixels that are NaN or infinite, is flat, or has values that
            float32 cannot tell apart or cannot hold.
    """
    pixels = np.empty(images.shape, np.float32)
    for row, image in enumerate(images):
        number = row if numbers is None else numbers[row]
        place = f"{where}, image {number}" if len(images) > 1 else where
        pixels[row] = pixels_of(image, place, may_be_flat=may_be_flat)
    return pixels


def pixels_of(image: np.ndarray, where: str, *, may_be_flat: bool = False) -> np.ndarray:
    """Return one image of any shape and type of number as float32; the rest is as in `as_pixels`.

    Example:
        >>> pixels_of(np.array([[0.0, 1e39]]), "a.npy")
        Traceback (most recent call last):
        lenssim.errors.DataError: a.npy: its values lie between 0 and 1e+39, more than float32 can hold ...
    """
    check_numbers(image.dtype, where)
    _check_finite(image, where)
    with np.errstate(all="ignore"):
        pixels = image.astype(np.float32)
    low = image.min()
    high = image.max()
    values = f"its values lie between {low:.14g} and {high:.14g}"
    if not np.isfinite(pixels).all():
        raise DataError(
            f"{where}: {values}, more than float32 can hold (3.4e38); divide the image by its maximum",
            code="image-values",
            where=where,
        )
    if low == high:
        if may_be_flat:
            return pixels
        raise DataError(
            f"{where}: the image is flat (every pixel is {low:g}): there is nothing to see",
            code="image-values",
            where=where,
            low=low,
        )
    if not _rounding_loss(image, pixels) <= _LARGEST_LOSS:
        raise DataError(
            f"{where}: {values}, which float32 cannot tell apart: the image would be flat or coarse; "
            "subtract the level that its pixels share, or divide by the maximum",
            code="image-values",
            where=where,
        )
    return pixels


def _check_finite(image: np.ndarray, where: str) -> None:
    """Refuse an image with pixels that are no numbers."""
    bad = image.size - int(np.count_nonzero(np.isfinite(image)))
    if bad:
        raise DataError(
            f"{where}: {bad} of its pixels are NaN or infinite; replace them by the sky's level first",
            code="image-values",
            where=where,
        )


def _rounding_loss(image: np.ndarray, pixels: np.ndarray) -> float:
    """Return the largest error of an image's float32 pixels, in units of the image's range."""
    if np.can_cast(image.dtype, np.float32):
        return 0.0
    image_range = np.longdouble(image.max()) - np.longdouble(image.min())
    with np.errstate(all="ignore"):
        return float(np.abs(pixels.astype(np.longdouble) - image).max() / image_range)
