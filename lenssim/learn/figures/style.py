"""The common style of figures, drawn without pyplot so that no global state changes."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from lenssim.data.format.files import write
from lenssim.drawing import png_bytes
from lenssim.notes import note

__all__ = [
    "BLUE",
    "DOTTED",
    "GREY",
    "ORANGE",
    "axes_of",
    "log_axis",
    "panels",
    "rates_axis",
    "save",
    "save_if_possible",
    "style_of",
    "titled_figure",
]

BLUE = "#0072B2"
ORANGE = "#D55E00"
GREY = "#777777"
DOTTED: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (2, 3))}
"""Style of a line for reference."""
# Okabe & Ito (2008): distinct for colour-blind readers; line styles keep them distinct in grey
_COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    write(path, png_bytes(figure))


def save_if_possible(draw: Callable[[], Figure], path: Path) -> bool:
    """Draw a figure and write it as PNG, or warn on stderr where that fails.

    Args:
        draw: Function that makes the figure.
        path: The file.

    Returns:
        Whether the file was written.
    """
    try:
        save(draw(), path)
    except Exception as error:
        reason = str(error) or type(error).__name__
        note(f"warning: the figure {path} is missing: {reason}")
        with suppress(OSError):
            path.unlink(missing_ok=True)  # of an earlier evaluation
        return False
    return True


def titled_figure(title: str, width: float, height: float, dpi: int = 150) -> Figure:
    """Return an empty figure with a grey title, width and height in inches."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    figure.suptitle(title, fontsize=10, color=GREY)
    return figure


def axes_of(title: str, x: str, y: str, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its axes, side by side.

    Args:
        title: Title of the figure.
        x: Label of the x axes.
        y: Label of the y axes.
        columns: Number of axes.

    Example:
        >>> figure, axes = axes_of("errors", "true theta_E", "error", columns=2)
        >>> len(axes)
        2
    """
    figure = titled_figure(title, 5.2 * columns, 4.6)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for ax in axes:
        ax.set(xlabel=x, ylabel=y)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def panels(
    count: int, title: str, size: tuple[float, float] = (4.6, 4.2), max_columns: int = 3
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with panels of a size in inches, in lines of at most `max_columns`."""
    columns = min(count, max_columns)
    lines = -(-count // columns)
    figure = titled_figure(title, size[0] * columns, size[1] * lines)
    axes = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count]


def log_axis(ax: Axes, axis_name: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, unless the data span less than a factor of three."""
    axis = ax.xaxis if axis_name == "x" else ax.yaxis
    low, high = axis.get_data_interval()
    if not 0 < 3 * low < high:
        return
    ax.set(**{f"{axis_name}scale": "log"})
    subs = (1, 2, 5) if high < 300 * low else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def rates_axis(ax: Axes) -> None:
    """Set axes of false- and true-positive rates.

    The false-positive axis is logarithmic from 0.01 on, where good classifiers differ.
    """
    ax.set_xscale("symlog", linthresh=0.01, linscale=0.6)
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1.01),
        xticks=[0, 0.01, 0.1, 1],
        xticklabels=["0", "0.01", "0.1", "1"],
    )


def style_of(k: int) -> dict[str, Any]:
    """Return colour and line style of the k-th curve."""
    return {
        "color": _COLOURS[k % len(_COLOURS)],
        "linestyle": _STYLES[k % len(_STYLES)],
        "linewidth": 1.6,
    }
