"""Single images as files: .npy, FITS and PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lenssim.data.exchange.fits_headers import ascii_text
from lenssim.data.format.files import write
from lenssim.drawing import colour_image
from lenssim.errors import ConfigError

__all__ = ["write_image"]


def write_image(
    path: Path,
    image: np.ndarray,
    header: Mapping[str, Any],
    cards: Sequence[tuple[str, Any, str]] = (),
) -> None:
    """Write one image as .npy, .fits or .png (asinh stretch, y upwards).

    Args:
        path: The file; its ending says which format.
        image: The pixels (C, H, W). One band is written as (H, W); a .png shows several in
            colours, the first as blue and the last as red.
        header: What is known of the image, for FITS, under names of any length.
        cards: Further cards of a FITS header, see `lenssim.data.exchange.fits_headers`.

    Raises:
        ConfigError: The ending is none of these.
        StorageError: The file cannot be written.
    """
    import io

    if len(image) == 1:
        image = image[0]
    buffer = io.BytesIO()
    suffix = path.suffix.lower()
    if suffix == ".npy":
        np.save(buffer, image)
    elif suffix in (".fits", ".fit"):
        _save_fits(buffer, image, header, cards)
    elif suffix == ".png":
        _save_png(buffer, image)
    else:
        raise ConfigError(
            f"{path}: an image is written as .npy, .fits or .png",
            code="option-format",
            path=path,
        )
    write(path, buffer.getvalue())


def _save_fits(
    buffer: BinaryIO,
    image: np.ndarray,
    header: Mapping[str, Any],
    cards: Sequence[tuple[Any, ...]],
) -> None:
    from astropy.io import fits

    hdu = fits.PrimaryHDU(image)
    hdu.header.extend(cards)
    for name, value in header.items():
        hdu.header[f"HIERARCH {name}"] = ascii_text(value)
    hdu.writeto(buffer)


def _save_png(buffer: BinaryIO, image: np.ndarray) -> None:
    """Write an image (H, W), or one of several bands (C, H, W)."""
    from matplotlib.image import imsave

    if image.ndim == 3:
        imsave(buffer, colour_image(image), origin="lower", format="png")
        return
    spread = np.percentile(image, 99.5) or 1.0
    pixels = np.arcsinh(5 * image / spread)
    imsave(buffer, pixels, cmap="magma", origin="lower", format="png")
