"""Figure of inferred populations against their truth."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lenssim.drawing import plain_style
from lenssim.learn.figures.style import GREY, axes_of, style_of

__all__ = ["populations_figure"]


@plain_style()
def populations_figure(
    columns: Sequence[str],
    mean: np.ndarray,
    sigma: np.ndarray,
    truths: np.ndarray,
    prior_range: np.ndarray,
    title: str,
) -> Figure:
    """Draw the inferred parameters of populations against the truth.

    Args:
        columns: Names (P) of the parameters.
        mean: Posterior means (G, P) of the populations.
        sigma: Posterior standard deviations (G, P).
        truths: True parameters (G, P).
        prior_range: Range (2, T) of one sigma of the prior for the first T parameters, drawn in
        grey.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, axes = axes_of(title, "truth", "inferred", len(columns))
    style = style_of(0) | {
        "linestyle": "none",
        "marker": "o",
        "markersize": 3,
        "elinewidth": 0.8,
    }
    for j, (ax, name) in enumerate(zip(axes, columns, strict=True)):
        if j < prior_range.shape[1]:
            ax.axhspan(*prior_range[:, j], color=GREY, alpha=0.15, linewidth=0)
        ends = [truths[:, j].min(), truths[:, j].max()]
        ax.plot(ends, ends, color=GREY, linestyle=(0, (2, 3)), linewidth=0.8)
        ax.errorbar(truths[:, j], mean[:, j], sigma[:, j], **style)
        ax.set_title(name, fontsize=10)
        ax.locator_params("x", nbins=5)
    return figure
