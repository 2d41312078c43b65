"""Figures of a classifier: ROC curves, confusion matrix, training curves and calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from sklearn.metrics import roc_curve

from lenssim.drawing import plain_style
from lenssim.intervals import wilson
from lenssim.learn.figures.style import (
    BLUE,
    DOTTED,
    GREY,
    axes_of,
    log_axis,
    rates_axis,
    style_of,
)
from lenssim.learn.scores.classification import calibration_bins

__all__ = ["calibration_figure", "confusion_figure", "curves_figure", "roc_figure"]

_TITLE: dict[str, Any] = {"fontsize": 10, "color": GREY}
_MAX_MARKED_EPOCHS = 29


@plain_style()
def roc_figure(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    auc: Mapping[str, float | None],
    title: str,
) -> Figure:
    """Draw the ROC curve of each class against the others, and their macro mean.

    Args:
        labels: True classes (N,).
        probabilities: Probabilities (N, K) of the classes.
        classes: Names (K) of the classes.
        auc: Area by class, and under "macro" their mean; None where a class is absent.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "false-positive rate", "true-positive rate")
    grid = np.concatenate([[0], np.geomspace(1e-4, 1, 400)])
    curves = []
    for k, name in enumerate(classes):
        if auc[name] is None:
            continue
        false, true, _ = roc_curve(labels == k, probabilities[:, k])
        curves.append(np.interp(grid, false, true))
        ax.plot(false, true, label=f"{name}  AUC {auc[name]:.4f}", **style_of(k))
    if curves:
        label = "mean"
        if auc["macro"] is not None:
            label = f"macro mean  AUC {auc['macro']:.4f}"
        style: dict[str, Any] = {"color": "black", "linewidth": 2.4, "alpha": 0.55}
        ax.plot(grid, np.mean(curves, axis=0), label=label, zorder=1, **style)
    ax.plot(grid, grid, label="chance", **DOTTED)
    rates_axis(ax)
    ax.legend(loc="best", frameon=False, fontsize=9)
    return figure


@plain_style()
def confusion_figure(counts: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix with counts, and with shares of each true class as text and colour.

    Args:
        counts: Counts (K, K), true classes down.
        classes: Names (K) of the classes.
        title: Title of the figure.

    Returns:
        The figure.
    """
    size = max(4.2, 0.9 * len(classes) + 2.0)
    figure = Figure(figsize=(size + 0.6, size), dpi=150, layout="constrained")
    ax = figure.subplots()
    ax.set_title(title, **_TITLE)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else "black"
        text = f"{counts[row, column]}\n{100 * share:.1f} %"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    ticks = range(len(classes))
    ax.set(xticks=ticks, yticks=ticks, xlabel="predicted", ylabel="true")
    if len(classes) <= 4:
        ax.set_xticklabels(classes, rotation=0, ha="center")
    else:
        ax.set_xticklabels(classes, rotation=45, ha="right")
    ax.set_yticklabels(classes)
    figure.colorbar(image, ax=ax, label="share of the true class", shrink=0.8)
    return figure


@plain_style()
def curves_figure(
    epochs: Sequence[Mapping[str, float]], scores: Mapping[str, str], best: int, title: str
) -> Figure:
    """Draw loss and validation scores by epoch, with a dotted line at the final weights.

    Args:
        epochs: The rows of a training history.
        scores: Names of validation scores, by key.
        best: The epoch with the final weights.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (loss_ax, score_ax) = axes_of(title, "epoch", "", columns=2)
    losses = {"train_loss": "training", "val_loss": "validation"}
    _plot_columns(loss_ax, epochs, losses, first_style=0)
    loss_ax.set(ylabel="loss")
    log_axis(loss_ax, "y")
    columns = {f"val_{key}": label for key, label in scores.items()}
    _plot_columns(score_ax, epochs, columns, first_style=1)
    score_ax.set(ylabel="validation score")
    for ax in (loss_ax, score_ax):
        ax.axvline(
            best, color=GREY, linestyle=":", linewidth=1.2, label=f"best epoch: {best}"
        )
        ax.locator_params("x", integer=True)
        ax.legend(frameon=False, fontsize=9)
    return figure


def _plot_columns(
    ax: Axes,
    epochs: Sequence[Mapping[str, float]],
    labels: Mapping[str, str],
    first_style: int,
) -> None:
    """Plot columns of a training history, with labels by key."""
    x = [row["epoch"] for row in epochs]
    marker = "o" if len(x) <= _MAX_MARKED_EPOCHS else None
    for k, (key, label) in enumerate(labels.items(), start=first_style):
        y = [row[key] for row in epochs]
        ax.plot(x, y, marker=marker, markersize=4, label=label, **style_of(k))


@plain_style()
def calibration_figure(
    labels: np.ndarray, probabilities: np.ndarray, ece: float, title: str
) -> Figure:
    """Draw the accuracy of the most probable class, and the number of samples, by its probability.

    Args:
        labels: True classes (N,).
        probabilities: Probabilities (N, K) of the classes.
        ece: Expected calibration error.
        title: Title of the figure.

    Returns:
        The figure.
    """
    bins = calibration_bins(labels, probabilities)
    figure = Figure(figsize=(5.2, 5.4), dpi=150, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.set_title(title, **_TITLE)
    upper.plot([0, 1], [0, 1], label="perfectly calibrated", **DOTTED)
    low, high = wilson(bins["accuracy"], bins["count"])
    upper.errorbar(
        bins["confidence"],
        bins["accuracy"],
        (bins["accuracy"] - low, high - bins["accuracy"]),
        label=f"this run, ECE {ece:.4f}",
        fmt="o-",
        markersize=4,
        capsize=2,
        color=BLUE,
        linewidth=1.4,
    )
    chance = 1 / probabilities.shape[1]
    upper.set(ylabel="share that is right", xlim=(chance - 0.02, 1.01), ylim=(0, 1.02))
    upper.legend(loc="lower right", frameon=False, fontsize=9)
    _plot_counts(lower, bins["confidence"], bins["count"])
    for ax in (upper, lower):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    return figure


def _plot_counts(ax: Axes, confidence: np.ndarray, count: np.ndarray) -> None:
    ax.bar(confidence, count, width=0.03, color=BLUE)
    ax.set(xlabel="probability of the most probable class", ylabel="samples", yscale="log")
    ax.yaxis.set_major_formatter("{x:.0f}")
    ax.yaxis.set_minor_formatter(LogFormatter())
