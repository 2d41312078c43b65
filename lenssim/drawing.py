"""How figures are drawn: alike on every machine, whatever matplotlib is set to there."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

__all__ = ["colour_image", "ignore_user_settings", "plain_style", "png_bytes", "stretched"]

_STRETCH = 8  # of the asinh; larger shows fainter parts
_PERCENTILES = (1, 99.8)  # of the pixels, between which the stretch is defined


def stretched(image: "np.ndarray") -> "np.ndarray":
    """Return an image (H, W) in an asinh stretch between percentiles of its pixels."""
    import numpy as np

    low, high = np.percentile(image, _PERCENTILES)
    return np.arcsinh(_STRETCH * (image - low) / (high - low or 1.0))


def colour_image(image: "np.ndarray") -> "np.ndarray":
    """Return an image of several bands in colours, each band in an asinh stretch of its own.

    The first band is blue, the last one is red, and green is the mean of those between; of two
    bands it is the mean of both.

    Args:
        image: Image (C, H, W) of at least two bands, from blue to red.

    Returns:
        Red, green and blue in 0..1, (H, W, 3).

    Example:
        >>> import numpy as np
        >>> colour_image(np.stack([np.eye(8), np.zeros((8, 8))]))[0, 0].round(1).tolist()
        [0.0, 0.5, 1.0]
    """
    import numpy as np

    top = np.arcsinh(_STRETCH)
    bands = np.stack([(stretched(band) / top).clip(0, 1) for band in image])
    green = bands[1:-1] if len(bands) > 2 else bands
    return np.stack([bands[-1], green.mean(0), bands[0]], axis=-1)


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw under matplotlib's own defaults; also a decorator, `@plain_style()`, of functions that make a figure.

    Texts are shown as they are: a `$` in a name begins no mathematics. A letter that the font lacks is shown as a box.
    """
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False
        yield


@plain_style()
def png_bytes(figure: "Figure", dpi: float | None = None) -> bytes:
    """Return a figure as the bytes of a PNG file.

    Args:
        figure: A figure that was made under `plain_style`.
        dpi: Pixels an inch; by default those of the figure.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi="figure" if dpi is None else dpi)
    return buffer.getvalue()


def ignore_user_settings() -> None:
    """Have matplotlib, once it is imported, read its own settings in place of the user's, here and in child processes.

    For programs: libraries import pyplot, and a user's backend that is not installed would stop them.
    """
    os.environ["MPLBACKEND"] = "agg"
    specification = find_spec("matplotlib")
    if specification is not None and specification.origin is not None:
        os.environ["MATPLOTLIBRC"] = str(
            Path(specification.origin).parent / "mpl-data" / "matplotlibrc"
        )
