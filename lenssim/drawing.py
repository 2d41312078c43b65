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
    from matplotlib.figure import Figure

__all__ = ["ignore_user_settings", "plain_style", "png_bytes"]


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
