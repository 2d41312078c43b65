"""Figures of a detector: ROC curves, alarms, and images with what is unusual in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve

from lenssim.drawing import plain_style
from lenssim.learn.figures.classification import confusion_figure
from lenssim.learn.figures.style import (
    DOTTED,
    axes_of,
    rates_axis,
    style_of,
    titled_figure,
)

__all__ = ["alarms_figure", "examples_figure", "rates_figure"]

_STRETCH = 3.0  # noise, where the stretch turns from linear to logarithmic
_SHARE = 99.5  # percentile of a map at the end of its colours


@plain_style()
def rates_figure(
    tables: Mapping[str, Mapping[str, np.ndarray]], normal: str, title: str
) -> Figure:
    """Draw the ROC curve of each class against the usual one, a panel for each class.

    Args:
        tables: `label` and `score` (N,) of each run.
        normal: The usual class.
        title: Title of the figure.

    Returns:
        The figure.
    """
    labels = {name for table in tables.values() for name in np.unique(table["label"])}
    anomalies = sorted(labels - {normal}) or [normal]
    x, y = f"{normal} with a higher score", "found"
    figure, axes = axes_of(title, x, y, columns=len(anomalies))
    grid = np.concatenate([[0], np.geomspace(1e-4, 1, 400)])
    for ax, name in zip(axes, anomalies, strict=True):
        for k, (run, table) in enumerate(tables.items()):
            rows = (table["label"] == name) | (table["label"] == normal)
            truth = table["label"][rows] == name
            if truth.all() or not truth.any():
                continue
            score = table["score"][rows].astype(float)
            false, true, _ = roc_curve(truth, score)
            label = f"{run}  AUC {roc_auc_score(truth, score):.4f}".strip()
            ax.plot(false, true, label=label, **style_of(k))
        ax.plot(grid, grid, label="chance", **DOTTED)
        ax.set_title(name, fontsize=9)
        rates_axis(ax)
        ax.legend(loc="best", frameon=False, fontsize=8)
    return figure


def alarms_figure(counts: Mapping[str, int], normal: str, title: str) -> Figure:
    """Draw how many images of the usual class and of all anomalies raise an alarm."""
    matrix = np.array([[counts["TN"], counts["FP"]], [counts["FN"], counts["TP"]]])
    return confusion_figure(matrix, (normal, "anomaly"), title)


@plain_style()
def examples_figure(examples: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw the least usual images of each class, what explains them, and what remains.

    Args:
        examples: `class`, `score`, `image` and `where` (H, W) and `noise` of each image.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure = titled_figure(title, 1.5 * len(examples), 4.9)
    axes = figure.subplots(3, len(examples), squeeze=False)
    for column, example in zip(axes.T, examples, strict=True):
        image = example["image"] / example["noise"]
        where = example["where"]
        end = max(float(np.percentile(np.abs(where), _SHARE)), 1e-12)
        for ax in column:
            ax.set(xticks=[], yticks=[])
        for ax, light in zip(column, (image, image - where), strict=False):
            stretched = np.arcsinh((light - np.median(image)) / _STRETCH)
            ax.imshow(stretched, origin="lower", cmap="gray", interpolation="nearest")
        ends: dict[str, Any] = {"vmin": -end, "vmax": end, "cmap": "RdBu_r"}
        column[2].imshow(where, origin="lower", interpolation="nearest", **ends)
        column[0].set_title(f"{example['class']}: {example['score']:.1f}", fontsize=7)
        column[2].set_xlabel(f"+-{end:.2g} noise", fontsize=7)
    for ax, name in zip(axes[:, 0], ("image", "answer", "what remains"), strict=True):
        ax.set_ylabel(name, fontsize=8)
    return figure
