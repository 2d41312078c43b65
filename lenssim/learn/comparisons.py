"""Figures that set runs side by side: their trainings, their curves, and what their scores depend on."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from lenssim.learn.figures import axes_of, style_of

__all__ = ["accuracy_figure", "histories_figure", "macro_roc_figure", "sizes_figure"]

_GROUPS = 8
Table = Mapping[str, np.ndarray]


def histories_figure(histories: Mapping[str, Sequence[Mapping[str, float]]], key: str, name: str, title: str) -> Figure:
    """A column of the epochs of several runs, by run."""
    figure, (ax,) = axes_of(title, "epoch", name)
    for k, (run, epochs) in enumerate(histories.items()):
        x, y = [row["epoch"] for row in epochs], [row[key] for row in epochs]
        ax.plot(x, y, marker="o" if len(x) < 30 else None, markersize=3, label=run, **style_of(k))
    lowest = min((row[key] for epochs in histories.values() for row in epochs), default=0)
    ax.set_yscale("log" if "loss" in key and lowest > 0 else "linear")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False, fontsize=7)
    return figure


def macro_roc_figure(tables: Mapping[str, Table], classes: Sequence[str], title: str) -> Figure:
    """Receiver operating characteristics of several runs, each the mean over classes against the rest."""
    figure, (ax,) = axes_of(title, "false-positive rate", "true-positive rate")
    grid = np.concatenate([[0], np.geomspace(1e-4, 1, 300)])
    for k, (run, table) in enumerate(tables.items()):
        curves = []
        for name in classes:
            own = table["label"] == name
            if 0 < own.sum() < len(own):
                false, true, _ = roc_curve(own, table[name].astype(float))
                curves.append(np.interp(grid, false, true))
        if curves:
            ax.plot(grid, np.mean(curves, axis=0), label=run, **style_of(k))
    ax.set_xscale("symlog", linthresh=0.01, linscale=0.6)
    ax.set(xlim=(0, 1), ylim=(0, 1.01), xticks=[0, 0.01, 0.1, 1], xticklabels=["0", "0.01", "0.1", "1"])
    ax.legend(loc="lower right", frameon=False, fontsize=7)
    return figure


def accuracy_figure(tables: Mapping[str, Table], column: str, name: str, title: str) -> Figure:
    """Accuracy, with its standard error, against a column of the tables, in groups of as many images each."""
    figure, (ax,) = axes_of(title, name, "accuracy")
    for k, (run, table) in enumerate(tables.items()):
        values = table[column].astype(float)
        known = np.isfinite(values) & (values > 0)
        if known.sum() < _GROUPS:
            continue
        right = (table["label"] == table["predicted"])[known]
        groups = np.array_split(np.argsort(values[known]), _GROUPS)
        x = [float(np.median(values[known][group])) for group in groups]
        y = np.array([right[group].mean() for group in groups])
        error = np.sqrt(y * (1 - y) / [len(group) for group in groups])
        ax.errorbar(x, y, error, marker="o", markersize=3, capsize=2, label=run, **style_of(k))
    ax.set_xscale("log")
    ax.set_ylim(top=1.02)
    ax.legend(frameon=False, fontsize=7)
    return figure


def sizes_figure(sizes: Mapping[str, Sequence[tuple[int, Mapping[str, float]]]], name: str, title: str) -> Figure:
    """A score with its interval against the number of images trained on, by net and data."""
    figure, (ax,) = axes_of(title, "images trained on", name)
    for k, (label, points) in enumerate(sizes.items()):
        points = sorted(points, key=lambda point: point[0])
        x, y = [size for size, _ in points], np.array([score["value"] for _, score in points])
        ends = np.array([(score["low"], score["high"]) for _, score in points]).T
        error = np.maximum([y - ends[0], ends[1] - y], 0)
        ax.errorbar(x, y, error, marker="o", markersize=4, capsize=2, label=label, **style_of(k))
    ax.set_xscale("log")
    ax.legend(frameon=False, fontsize=7)
    return figure
