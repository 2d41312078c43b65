"""Figures of a survey: its population, and how complete it is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.drawing import plain_style
from lenssim.intervals import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PROPERTIES", "completeness_figure", "population_figure"]

PROPERTIES = {
    "z_lens": "lens redshift",
    "z_source": "source redshift",
    "theta_E": "Einstein radius [arcsec]",
    "source_magnitude": "source magnitude [mag]",
    "magnification": "magnification",
    "snr": "signal to noise",
}
"""Columns of the figure of the population, and how they are called."""

_LABELS = PROPERTIES | {"sigma_v": "velocity dispersion [km/s]"}
_LOGARITHMIC = ("magnification", "snr")
_BINS = 24
_SIGMAS = 1.959964  # of the 95 % intervals
_FEWEST = 8  # lenses of a bin that is plotted, where there are so many
_COLOUR = "#30649b"


@plain_style()
def population_figure(columns: Mapping[str, np.ndarray]) -> "Figure":
    """Return a corner plot of the lenses: each property, and each pair of them.

    Args:
        columns: Columns (N,), among them those of `PROPERTIES`.
    """
    from matplotlib.figure import Figure

    count = len(PROPERTIES)
    figure = Figure(figsize=(1.9 * count, 1.9 * count), layout="constrained")
    axes = figure.subplots(count, count)
    names = list(PROPERTIES)
    values = {name: _shown_values(name, columns[name]) for name in names}
    limits = {name: np.percentile(values[name], [0.5, 99.5]) for name in names}
    for row, across in enumerate(names):
        for column, along in enumerate(names):
            ax = axes[row, column]
            if column > row:
                ax.axis("off")
                continue
            _panel(ax, values, limits, along, across)
            _name_axes(ax, row, column, names)
    return figure


def _shown_values(name: str, column: np.ndarray) -> np.ndarray:
    return np.log10(column) if name in _LOGARITHMIC else column


def _panel(
    ax: "Axes",
    values: Mapping[str, np.ndarray],
    limits: Mapping[str, np.ndarray],
    along: str,
    across: str,
) -> None:
    low, high = limits[along]
    x = np.linspace(low, high, _BINS + 1)
    if along == across:
        ax.hist(values[along], x.tolist(), color=_COLOUR)
        quartiles = np.percentile(values[along], [16, 50, 84])
        ax.set_title(_summary(along, quartiles), fontsize=8)
        ax.set_yticks([])
        return
    low, high = limits[across]
    y = np.linspace(low, high, _BINS + 1)
    ax.hist2d(values[along], values[across], (x, y), cmap="Blues")


def _summary(name: str, quartiles: Sequence[float]) -> str:
    low, middle, high = 10 ** np.array(quartiles) if name in _LOGARITHMIC else quartiles
    return f"{middle:.3g} +{high - middle:.2g} -{middle - low:.2g}"


def _name_axes(ax: "Axes", row: int, column: int, names: Sequence[str]) -> None:
    def label(name: str) -> str:
        return f"log10 {PROPERTIES[name]}" if name in _LOGARITHMIC else PROPERTIES[name]

    ax.tick_params(labelsize=7)
    if row == len(names) - 1:
        ax.set_xlabel(label(names[column]), fontsize=8)
    else:
        ax.set_xticklabels([])
    if column == 0 and row:
        ax.set_ylabel(label(names[row]), fontsize=8)
    elif column != row:
        ax.set_yticklabels([])


@plain_style()
def completeness_figure(
    by: Mapping[str, Any], title: str = "share of the ideal lenses"
) -> "Figure":
    """Return the share of lenses that are found, by their properties, with 95 % intervals.

    Args:
        by: For each column, the `edges` of its bins, and the numbers `ideal` and `found`.
        title: What the vertical axis is called.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    columns = int(np.ceil(len(by) / 2))
    axes = figure.subplots(2, columns, sharey=True, squeeze=False)
    for ax, name in zip(axes.ravel(), by, strict=False):
        _plot_shares(ax, by[name])
        ax.set_xlabel(_LABELS.get(name, name))
        ax.grid(alpha=0.3)
    axes[0, 0].set_ylim(0, None)  # of all, once all of them are drawn
    for row in axes:
        row[0].set_ylabel(title)
    for ax in axes.ravel()[len(by) :]:
        ax.axis("off")
    return figure


def _plot_shares(ax: "Axes", counts: Mapping[str, Any]) -> None:
    edges = np.array(counts["edges"], np.float64)
    edges[-1] = min(edges[-1], 2 * edges[-2])  # an open bin
    ideal = np.array(counts["ideal"])
    accepted = np.array(counts["found"])
    filled = ideal >= max(1, min(_FEWEST, ideal.max()))
    middle = 0.5 * (edges[1:] + edges[:-1])[filled]
    share = (accepted / np.maximum(ideal, 1))[filled]
    low, high = wilson(share, ideal[filled], _SIGMAS)
    errors = np.abs(np.stack([share - low, high - share]))
    widths = (0.5 * np.diff(edges))[filled]
    ax.errorbar(middle, share, errors, widths, fmt="o", ms=4, color=_COLOUR)
