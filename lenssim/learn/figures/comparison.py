"""Figures that compare runs: their trainings, their curves, and what their scores depend on."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from lenssim.drawing import plain_style
from lenssim.intervals import wilson
from lenssim.learn.figures.style import (
    axes_of,
    log_axis,
    rates_axis,
    style_of,
    titled_figure,
)

__all__ = ["accuracy_figure", "histories_figure", "roc_figure", "sizes_figure"]

_GROUPS = 6
_MAX_INNER_LABELS = 3  # with more curves the legend stands below the figure
_MAX_MARKED_EPOCHS = 29
Table = Mapping[str, np.ndarray]


@plain_style()
def histories_figure(
    histories: Mapping[str, Sequence[Mapping[str, float]]], key: str, name: str, title: str
) -> Figure:
    """Draw a column of the training histories of several runs.

    Args:
        histories: Rows of the training history, by run.
        key: The column.
        name: Its name.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "epoch", name)
    for k, (run, epochs) in enumerate(histories.items()):
        x = [row["epoch"] for row in epochs]
        y = [row[key] for row in epochs]
        marker = "o" if len(x) <= _MAX_MARKED_EPOCHS else None
        ax.plot(x, y, marker=marker, markersize=3, label=run, **style_of(k))
    if "loss" in key:
        log_axis(ax, "y")
    ax.locator_params("x", integer=True)
    return _with_legend(figure, ax)


def _with_legend(figure: Figure, ax: Axes) -> Figure:
    """Add the names of the curves of `ax`: inside for few curves, else below the figure."""
    lines, names = ax.get_legend_handles_labels()
    if len(names) <= _MAX_INNER_LABELS:
        ax.legend(frameon=False, fontsize=8)
        return figure
    columns = max(1, round(figure.get_figwidth() / 2.6))
    height = 0.18 * -(-len(names) // columns)
    figure.set_figheight(figure.get_figheight() + height)
    figure.legend(
        lines, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
    return figure


def _panels_by_class(
    names: Sequence[str], title: str, x: str, y: str
) -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel for each name, side by side."""
    figure = titled_figure(title, max(3.1 * len(names), 5.2), 3.5)
    axes = list(figure.subplots(1, len(names), sharey=True, squeeze=False)[0])
    for ax, name in zip(axes, names, strict=True):
        ax.set_title(name, fontsize=9)
        ax.set_xlabel(fill(x, 34), fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    axes[0].set_ylabel(y)
    return figure, axes


@plain_style()
def roc_figure(tables: Mapping[str, Table], classes: Sequence[str], title: str) -> Figure:
    """Draw the receiver operating characteristics of several runs, by class and in the mean.

    Args:
        tables: Tables of evaluations, by run.
        classes: Names of the classes.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, axes = _panels_by_class(
        [*classes, "mean of the classes"],
        title,
        "false-positive rate",
        "true-positive rate",
    )
    grid = np.concatenate([[0], np.geomspace(1e-4, 1, 300)])
    for k, (run, table) in enumerate(tables.items()):
        curves = []
        for ax, name in zip(axes, classes, strict=False):
            positive = table["label"] == name
            if 0 < positive.sum() < len(positive):
                false, true, _ = roc_curve(positive, table[name].astype(float))
                curves.append(np.interp(grid, false, true))
                ax.plot(false, true, label=run, **style_of(k))
        if curves:
            axes[-1].plot(grid, np.mean(curves, axis=0), label=run, **style_of(k))
    for ax in axes:
        rates_axis(ax)
    return _with_legend(figure, axes[-1])


@plain_style()
def accuracy_figure(
    tables: Mapping[str, Table], classes: Sequence[str], column: str, name: str, title: str
) -> Figure:
    """Draw the share of each class that is recognised, with its standard error, against a column.

    The shares are those of groups with equal numbers of images. Classes without values in the
    column are omitted.

    Args:
        tables: Tables of evaluations, by run.
        classes: Names of the classes.
        column: The column.
        name: Its name.
        title: Title of the figure.

    Returns:
        The figure.
    """
    with_values = [
        label
        for label in classes
        if all(
            _with_value(table, column, label).sum() >= _GROUPS for table in tables.values()
        )
    ]
    figure, axes = _panels_by_class(
        with_values or ["none of the classes"], title, name, "share that is recognised"
    )
    for ax, label in zip(axes, with_values, strict=False):
        for k, (run, table) in enumerate(tables.items()):
            _plot_accuracy(ax, table, column, label, {"label": run, **style_of(k)})
        log_axis(ax, "x")
        ax.set_ylim(0, 1.02)
    return _with_legend(figure, axes[0])


def _with_value(table: Table, column: str, label: str) -> np.ndarray:
    """Tell which rows of a class have a positive value in a column."""
    values = table[column].astype(float)
    return np.isfinite(values) & (values > 0) & (table["label"] == label)


def _plot_accuracy(
    ax: Axes, table: Table, column: str, label: str, style: dict[str, Any]
) -> None:
    """Plot the accuracy of groups with equal numbers of images of a class."""
    rows = _with_value(table, column, label)
    values = table[column].astype(float)[rows]
    correct = (table["predicted"] == label)[rows]
    groups = np.array_split(np.argsort(values), _GROUPS)
    x = [float(np.median(values[group])) for group in groups]
    y = np.array([correct[group].mean() for group in groups])
    low, high = wilson(y, np.array([len(group) for group in groups]))
    ax.errorbar(x, y, (y - low, high - y), marker="o", markersize=3, capsize=2, **style)


@plain_style()
def sizes_figure(
    sizes: Mapping[str, Sequence[tuple[int, Mapping[str, float]]]], name: str, title: str
) -> Figure:
    """Draw a score with its interval against the number of training images. Lines join means.

    Args:
        sizes: Number of training images and score, by net and data.
        name: Name of the score.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "images trained on", name)
    for k, (label, points) in enumerate(sizes.items()):
        x = np.array([size for size, _ in points])
        y = np.array([score["value"] for _, score in points])
        low, high = np.array([(score["low"], score["high"]) for _, score in points]).T
        style = style_of(k)
        steps = np.unique(x)
        ax.plot(steps, [y[x == size].mean() for size in steps], label=label, **style)
        error = np.maximum([y - low, high - y], 0)
        ax.errorbar(
            x, y, error, fmt="o", markersize=4, capsize=2, alpha=0.6, color=style["color"]
        )
    log_axis(ax, "x")
    return _with_legend(figure, ax)
