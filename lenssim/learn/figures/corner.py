"""Corner plot of a posterior."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenssim.drawing import plain_style
from lenssim.learn.figures.style import BLUE, GREY, ORANGE

__all__ = ["corner_figure"]

_CONTOURS = (0.954, 0.683)  # probability within the outer and the inner contour
_CELLS = 40


@plain_style()
def corner_figure(
    names: Sequence[str], draws: np.ndarray, truth: np.ndarray, title: str
) -> Figure:
    """Draw a posterior: histograms, and contours of 68 and 95 % of each pair of parameters.

    Args:
        names: Names (T) of the parameters.
        draws: Draws (D, T) of the posterior.
        truth: True parameters (T,), drawn as lines.
        title: Title of the figure.

    Returns:
        The figure.
    """
    count = len(names)
    side = max(1.9 * count + 1.2, 4.6)
    figure = Figure(figsize=(side, side), dpi=130, layout="constrained")
    figure.suptitle(fill(title, int(13 * side)), fontsize=9, color=GREY)
    axes = figure.subplots(count, count, squeeze=False)
    edges = [_edges(draws[:, k]) for k in range(count)]
    for row, column in np.ndindex(count, count):
        ax: Axes = axes[row, column]  # type: ignore[assignment]
        if column > row:
            ax.set_axis_off()
            continue
        if row == column:
            ax.hist(draws[:, row], bins=list(edges[row]), histtype="step", color=BLUE)
            ax.set_yticks([])
        else:
            _plot_contours(ax, draws[:, column], draws[:, row], edges[column], edges[row])
            ax.axhline(float(truth[row]), color=ORANGE, linewidth=1)
        ax.axvline(float(truth[column]), color=ORANGE, linewidth=1)
        _label(ax, names, row, column)
    return figure


def _edges(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, [0.001, 0.999])
    return np.linspace(low, high, _CELLS + 1)


def _label(ax: Axes, names: Sequence[str], row: int, column: int) -> None:
    """Label the axes at the left and the bottom of the figure."""
    is_bottom = row == len(names) - 1
    is_left = column == 0 and row > 0
    ax.tick_params(labelsize=6, labelbottom=is_bottom, labelleft=is_left)
    if is_bottom:
        ax.set_xlabel(names[column], fontsize=8)
    if is_left:
        ax.set_ylabel(names[row], fontsize=8)


def _plot_contours(
    ax: Axes, x: np.ndarray, y: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray
) -> None:
    """Plot contours of draws x, y (D,) on a grid of cells."""
    from scipy.ndimage import gaussian_filter

    cells, *_ = np.histogram2d(y, x, bins=(y_edges, x_edges))
    cells = gaussian_filter(cells, 1.2)
    order = np.sort(cells.ravel())[::-1]
    enclosed = order.cumsum() / order.sum()
    levels = sorted({float(order[np.searchsorted(enclosed, p)]) for p in _CONTOURS})
    ax.contourf(
        (x_edges[1:] + x_edges[:-1]) / 2,
        (y_edges[1:] + y_edges[:-1]) / 2,
        cells,
        levels=[*levels, order[0] * 1.01],
        colors=["#A6CBE3", BLUE],
    )
