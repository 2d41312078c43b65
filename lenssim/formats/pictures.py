"""The PNG or JPEG picture: an array of 8 or 16 bits, whose size is checked before it is read."""

import warnings
from pathlib import Path

import numpy as np

from lenssim.formats.limits import check_bytes, open_regular, refusing

__all__ = ["PICTURE_ENDINGS", "read_picture"]

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
_MODES = {"L": "L", "1": "L", "I;16": "I;16", "I": "I", "F": "F", "LA": "L"}  # grey ones
_COLOURS = "RGB"


def read_picture(path: Path) -> np.ndarray:
    """Return a picture as numbers (H, W), or (H, W, 3) in colour, with row 0 at the bottom.

    Transparency is left out. Pictures store their rows from the top, images of the sky from
    the bottom.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, or is too large.
    """
    from PIL import Image

    with (
        refusing(path, "picture"),
        open_regular(path) as (stream, _),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")  # of pictures that unpack to too many pixels
        picture = Image.open(stream, formats=("PNG", "JPEG"))
        check_bytes(8 * 3 * picture.width * picture.height)
        return np.asarray(picture.convert(_MODES.get(picture.mode, _COLOURS)))[::-1]
