"""Figures that set runs side by side: their trainings, their curves, and what their scores depend on."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from lenssim.drawing import plain_style
from lenssim.learn.figures.classification import (
    axes_of,
    log_axis,
    rates_axis,
    style_of,
    wilson,
)

__all__ = ["accuracy_figure", "histories_figure", "roc_figure", "sizes_figure"]

_GROUPS = 6
_FEW = 3  # curves whose names find a place among them
Table = Mapping[str, np.ndarray]


@plain_style()
def histories_figure(
    histories: Mapping[str, Sequence[Mapping[str, float]]], key: str, name: str, title: str
) -> Figure:
    """A column of the epochs of several runs, by run."""
    figure, (ax,) = axes_of(title, "epoch", name)
    for k, (run, epochs) in enumerate(histories.items()):
        x, y = [row["epoch"] for row in epochs], [row[key] for row in epochs]
        ax.plot(
            x,
            y,
            marker="o" if len(x) < 30 else None,
            markersize=3,
            label=run,
            **style_of(k),
        )
    if "loss" in key:
        log_axis(ax, "y")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return _named(figure, ax)


def _named(figure: Figure, ax: Axes) -> Figure:
    """The figure with the names of the curves of `ax`: inside if few, else below, where they hide none."""
    lines, names = ax.get_legend_handles_labels()
    if len(names) <= _FEW:
        ax.legend(frameon=False, fontsize=8)
        return figure
    columns = max(1, round(figure.get_figwidth() / 2.6))
    height = 0.18 * -(-len(names) // columns)
    figure.set_figheight(figure.get_figheight() + height)
    figure.legend(
        lines, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
    return figure


def _by_class(
    names: Sequence[str], title: str, x: str, y: str
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel a name, side by side."""
    figure = Figure(
        figsize=(max(3.1 * len(names), 5.2), 3.5), dpi=150, layout="constrained"
    )
    figure.suptitle(title, fontsize=10, color="#777777")
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
    """Receiver operating characteristics of several runs: of each class against the rest, and their mean."""
    figure, axes = _by_class(
        [*classes, "mean of the classes"],
        title,
        "false-positive rate",
        "true-positive rate",
    )
    grid = np.concatenate([[0], np.geomspace(1e-4, 1, 300)])
    for k, (run, table) in enumerate(tables.items()):
        curves = []
        for ax, name in zip(axes, classes, strict=False):
            own = table["label"] == name
            if 0 < own.sum() < len(own):
                false, true, _ = roc_curve(own, table[name].astype(float))
                curves.append(np.interp(grid, false, true))
                ax.plot(false, true, label=run, **style_of(k))
        if curves:
            axes[-1].plot(grid, np.mean(curves, axis=0), label=run, **style_of(k))
    for ax in axes:
        rates_axis(ax)
    return _named(figure, axes[-1])


@plain_style()
def accuracy_figure(
    tables: Mapping[str, Table], classes: Sequence[str], column: str, name: str, title: str
) -> Figure:
    """Share of each class that is recognised, with its standard error, against a column of the tables.

    In groups of as many images each; classes of which the column says nothing are left out.
    """

    def known(table: Table, label: str) -> np.ndarray:
        values = table[column].astype(float)
        return np.isfinite(values) & (values > 0) & (table["label"] == label)

    named = [
        label
        for label in classes
        if all(known(table, label).sum() >= _GROUPS for table in tables.values())
    ]
    figure, axes = _by_class(
        named or ["none of the classes"], title, name, "share that is recognised"
    )
    for ax, label in zip(axes, named, strict=False):
        for k, (run, table) in enumerate(tables.items()):
            own = known(table, label)
            values, right = (
                table[column].astype(float)[own],
                (table["predicted"] == label)[own],
            )
            groups = np.array_split(np.argsort(values), _GROUPS)
            x = [float(np.median(values[group])) for group in groups]
            y = np.array([right[group].mean() for group in groups])
            low, high = wilson(y, np.array([len(group) for group in groups]))
            ax.errorbar(
                x,
                y,
                (y - low, high - y),
                marker="o",
                markersize=3,
                capsize=2,
                label=run,
                **style_of(k),
            )
        log_axis(ax, "x")
        ax.set_ylim(0, 1.02)
    return _named(figure, axes[0])


@plain_style()
def sizes_figure(
    sizes: Mapping[str, Sequence[tuple[int, Mapping[str, float]]]], name: str, title: str
) -> Figure:
    """A score with its interval against the number of images trained on, by net and data; the lines join means."""
    figure, (ax,) = axes_of(title, "images trained on", name)
    for k, (label, points) in enumerate(sizes.items()):
        x, y = (
            np.array([size for size, _ in points]),
            np.array([score["value"] for _, score in points]),
        )
        ends = np.array([(score["low"], score["high"]) for _, score in points]).T
        style = style_of(k)
        steps = np.unique(x)
        ax.plot(steps, [y[x == size].mean() for size in steps], label=label, **style)
        error = np.maximum([y - ends[0], ends[1] - y], 0)
        ax.errorbar(
            x, y, error, fmt="o", markersize=4, capsize=2, alpha=0.6, color=style["color"]
        )
    log_axis(ax, "x")
    return _named(figure, ax)
