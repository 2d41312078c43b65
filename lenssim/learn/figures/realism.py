"""Figures of a realism audit: the statistics that differ most, and images side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenssim.drawing import plain_style
from lenssim.learn.figures.style import BLUE, ORANGE, panels, titled_figure
from lenssim.learn.scores.realism import Difference
from lenssim.learn.scores.stamps import Stamps

__all__ = ["realism_figure", "realism_sheet"]

_PANELS = 6
_BINS = 24
_ENDS = (0.5, 99.5)  # per cent of the values that a histogram shows
_COLUMNS = 8
_SOFTENING = 3.0  # noise of real images, where the stretch turns from linear to logarithmic
_BRIGHTEST = 99.9  # per cent of the pixels below white

Values = Mapping[str, np.ndarray]


@plain_style()
def realism_figure(
    differences: Sequence[Difference], real: Values, simulated: Values, title: str
) -> Figure:
    """Draw histograms of the statistics that differ most between real and simulated images.

    Args:
        differences: The statistics, the most different first.
        real: A number (n,) an image by statistic.
        simulated: The same of simulated images, (m,).
        title: Title of the figure.

    Returns:
        The figure.
    """
    chosen = differences[:_PANELS]
    figure, axes = panels(len(chosen), title, size=(3.6, 2.8))
    for ax, row in zip(axes, chosen, strict=True):
        _histograms(ax, real[row.statistic], simulated[row.statistic])
        ax.set_title(f"{row.statistic}: AUC {row.auc:.2f}, p {row.p:.2g}", fontsize=9)
    if axes:
        axes[0].legend(frameon=False, fontsize=8)
    return figure


def _histograms(ax: Axes, real: np.ndarray, simulated: np.ndarray) -> None:
    """Draw the densities of a statistic, and a mark for each image of a small real sample."""
    values = np.concatenate([real, simulated])
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, _ENDS)
    edges = np.linspace(low, max(high, low + 1e-12), _BINS + 1)
    style: dict[str, Any] = {
        "bins": edges,
        "density": True,
        "histtype": "stepfilled",
        "alpha": 0.5,
    }
    ax.hist(simulated.clip(low, high), color=BLUE, label="simulated", **style)
    if len(real) > 5 * _BINS:
        ax.hist(real.clip(low, high), color=ORANGE, label="real", **style)
    else:
        heights = np.full(len(real), 0.04 * ax.get_ylim()[1])
        ax.plot(
            real.clip(low, high), heights, "|", color=ORANGE, label="real", ms=14, mew=1.5
        )
    ax.set_yticks([])


@plain_style()
def realism_sheet(real: np.ndarray, simulated: np.ndarray, title: str) -> Figure:
    """Draw real images above simulated ones, all in one stretch.

    The stretch is asinh of the light in units of three times the noise of the real images.

    Args:
        real: Images (k, C, H, W); of several bands the first is shown.
        simulated: As many simulated ones.
        title: Title of the figure.

    Returns:
        The figure.
    """
    stamps = [Stamps(images[:, 0]) for images in (real, simulated)]
    softening = _SOFTENING * float(np.nanmedian(stamps[0].rms)) or 1.0
    stretched = [np.arcsinh(stamp.light / softening) for stamp in stamps]
    top = float(np.percentile(stretched[0], _BRIGHTEST))
    lines = -(-len(real) // _COLUMNS)
    figure = titled_figure(title, 1.3 * _COLUMNS, 1.4 * 2 * lines)
    axes = figure.subplots(2 * lines, _COLUMNS, squeeze=False)
    for ax in axes.ravel():
        ax.set_axis_off()
    for half, (name, images) in enumerate(
        zip(("real", "simulated"), stretched, strict=True)
    ):
        for number, image in enumerate(images):
            ax = axes[half * lines + number // _COLUMNS, number % _COLUMNS]
            ax.imshow(image, origin="lower", cmap="magma", vmin=-1, vmax=top)
            if number == 0:
                ax.set_title(name, fontsize=9, loc="left")
    return figure
