"""Figures of features: in two dimensions, and what a few labels make of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenssim.drawing import plain_style
from lenssim.learn.figures.style import DOTTED, axes_of, style_of

__all__ = ["embedding_figure", "few_shot_figure"]

_NAMES = {"pca": "principal components", "tsne": "t-SNE"}


@plain_style()
def embedding_figure(
    planes: Mapping[str, np.ndarray], labels: np.ndarray, title: str
) -> Figure:
    """Draw features in two dimensions, coloured by class.

    Args:
        planes: Points (N, 2) by `pca` and `tsne`; NaN where there is none.
        labels: Names of the classes (N,).
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, axes = axes_of(title, "", "", columns=len(planes))
    for ax, (name, points) in zip(axes, planes.items(), strict=True):
        for k, label in enumerate(np.unique(labels)):
            rows = labels == label
            colour = style_of(k)["color"]
            options: dict[str, Any] = {"s": 6, "alpha": 0.5, "linewidths": 0}
            ax.scatter(*points[rows].T, label=label, color=colour, **options)
        ax.set_title(_NAMES.get(name, name), fontsize=9)
        ax.set(xticks=[], yticks=[])
    axes[0].legend(loc="best", frameon=False, fontsize=8, markerscale=2)
    return figure


@plain_style()
def few_shot_figure(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw the AUC that a few labels of each class reach, with the range of the draws.

    Args:
        rows: `shots` and the scores of `few_shot_scores`.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "labelled images of each class", "AUC")
    shots = np.array([row["shots"] for row in rows])
    for k, name in enumerate(("prototypes", "logistic")):
        value = np.array([row[name]["value"] for row in rows])
        low = np.array([row[name]["low"] for row in rows])
        high = np.array([row[name]["high"] for row in rows])
        ax.plot(shots, value, label=name, marker="o", **style_of(k))
        ax.fill_between(shots, low, high, color=style_of(k)["color"], alpha=0.15)
    ax.axhline(0.5, label="chance", **DOTTED)
    ax.set_xscale("log")
    ax.set_xticks(shots, [str(count) for count in shots])
    ax.legend(loc="best", frameon=False, fontsize=9)
    return figure
