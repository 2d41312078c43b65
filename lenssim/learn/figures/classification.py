"""The figures of an evaluation, drawn without pyplot so that no global state is touched."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, LogLocator, NullFormatter
from sklearn.metrics import roc_curve

from lenssim.data.format.files import write
from lenssim.drawing import plain_style, png_bytes
from lenssim.learn.scores.classification import calibration_bins
from lenssim.notes import note

__all__ = [
    "axes_of",
    "calibration_figure",
    "confusion_figure",
    "curves_figure",
    "log_axis",
    "rates_axis",
    "roc_figure",
    "save",
    "save_if_possible",
    "style_of",
    "wilson",
]

# Okabe & Ito (2008): told apart by colour-blind readers; told apart again by line style in grey
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")
_GREY = "#777777"
_TITLE = {"fontsize": 10, "color": _GREY}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    write(path, png_bytes(figure))


def save_if_possible(draw: Callable[[], Figure], path: Path) -> bool:
    """Draw a figure and write it as PNG; where that fails, say so on stderr, for no result depends on a figure.

    Args:
        draw: Makes the figure.
        path: The file.

    Returns:
        Whether the file was written.
    """
    try:
        save(draw(), path)
    except Exception as error:
        reason = str(error) or type(error).__name__
        note(f"warning: the figure {path} is missing: {reason}")
        with suppress(OSError):
            path.unlink(missing_ok=True)  # of an earlier evaluation
        return False
    return True


def axes_of(title: str, x: str, y: str, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of our looks, and its axes."""
    figure = Figure(figsize=(5.2 * columns, 4.6), dpi=150, layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    figure.suptitle(title, **_TITLE)
    for ax in axes:
        ax.set(xlabel=x, ylabel=y)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def log_axis(ax: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic scale with plain numbers; a linear one where the data span less than a factor of three."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_data_interval()
    if not 0 < 3 * low < high:
        return
    ax.set(**{f"{which}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def rates_axis(ax: Axes) -> None:
    """False-positive rates, logarithmic from 0.01 on, where good classifiers differ, and true-positive rates."""
    ax.set_xscale("symlog", linthresh=0.01, linscale=0.6)
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1.01),
        xticks=[0, 0.01, 0.1, 1],
        xticklabels=["0", "0.01", "0.1", "1"],
    )


def style_of(k: int) -> dict[str, Any]:
    """Colour and line of the k-th curve."""
    return {
        "color": _COLOURS[k % len(_COLOURS)],
        "linestyle": _STYLES[k % len(_STYLES)],
        "linewidth": 1.6,
    }


@plain_style()
def roc_figure(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    auc: Mapping[str, float | None],
    title: str,
) -> Figure:
    """Receiver operating characteristic of each class against the rest and their macro mean.

    The false-positive axis is logarithmic below 0.1, where good classifiers differ. `auc` names the area by class
    and under "macro".
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
        label = (
            f"macro mean  AUC {auc['macro']:.4f}" if auc["macro"] is not None else "mean"
        )
        ax.plot(
            grid,
            np.mean(curves, axis=0),
            color="black",
            linewidth=2.4,
            alpha=0.55,
            label=label,
            zorder=1,
        )
    ax.plot(grid, grid, color=_GREY, linewidth=0.8, linestyle=(0, (2, 3)), label="chance")
    rates_axis(ax)
    ax.legend(loc="best", frameon=False, fontsize=9)
    return figure


@plain_style()
def confusion_figure(counts: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Confusion matrix: counts, and shares of each true class, which the colour shows too."""
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
    places = range(len(classes))
    ax.set(xticks=places, yticks=places, xlabel="predicted", ylabel="true")
    few = len(classes) <= 4
    ax.set_xticklabels(classes, rotation=0 if few else 45, ha="center" if few else "right")
    ax.set_yticklabels(classes)
    figure.colorbar(image, ax=ax, label="share of the true class", shrink=0.8)
    return figure


@plain_style()
def curves_figure(
    epochs: Sequence[Mapping[str, float]], scores: Mapping[str, str], best: int, title: str
) -> Figure:
    """Loss and validation `scores` (name by key) by epoch; the dotted line marks the epoch whose weights are used."""
    figure, (left, right) = axes_of(title, "epoch", "", columns=2)
    x = [row["epoch"] for row in epochs]
    marker = "o" if len(x) < 30 else None
    for k, (name, label) in enumerate(
        {"train_loss": "training", "val_loss": "validation"}.items()
    ):
        left.plot(
            x,
            [row[name] for row in epochs],
            marker=marker,
            markersize=4,
            label=label,
            **style_of(k),
        )
    left.set(ylabel="loss")
    log_axis(left, "y")
    for k, (key, label) in enumerate(scores.items()):
        right.plot(
            x,
            [row[f"val_{key}"] for row in epochs],
            marker=marker,
            markersize=4,
            label=label,
            **style_of(k + 1),
        )
    right.set(ylabel="validation score")
    for ax in (left, right):
        ax.axvline(
            best, color=_GREY, linestyle=":", linewidth=1.2, label=f"best epoch: {best}"
        )
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False, fontsize=9)
    return figure


def wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of one sigma for a share of `count` (honest near 0 and 1, where the normal one vanishes)."""
    centre = (share + 0.5 / count) / (1 + 1 / count)
    half = np.sqrt(share * (1 - share) / count + 0.25 / count**2) / (1 + 1 / count)
    return np.minimum(centre - half, share), np.maximum(centre + half, share)


@plain_style()
def calibration_figure(
    labels: np.ndarray, probabilities: np.ndarray, ece: float, title: str
) -> Figure:
    """Reliability: how often the most probable class is right, against its probability; below, how many samples."""
    bins = calibration_bins(labels, probabilities)
    figure = Figure(figsize=(5.2, 5.4), dpi=150, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.set_title(title, **_TITLE)
    low, high = wilson(bins["accuracy"], bins["count"])
    upper.plot(
        [0, 1],
        [0, 1],
        color=_GREY,
        linestyle=(0, (2, 3)),
        linewidth=0.8,
        label="perfectly calibrated",
    )
    label = f"this run, ECE {ece:.4f}"
    style = {
        "fmt": "o-",
        "markersize": 4,
        "capsize": 2,
        "color": _COLOURS[0],
        "linewidth": 1.4,
    }
    error = (bins["accuracy"] - low, high - bins["accuracy"])
    upper.errorbar(bins["confidence"], bins["accuracy"], error, label=label, **style)
    chance = 1 / probabilities.shape[1]
    upper.set(ylabel="share that is right", xlim=(chance - 0.02, 1.01), ylim=(0, 1.02))
    upper.legend(loc="lower right", frameon=False, fontsize=9)
    lower.bar(bins["confidence"], bins["count"], width=0.03, color=_COLOURS[0])
    lower.set(
        xlabel="probability of the most probable class", ylabel="samples", yscale="log"
    )
    lower.yaxis.set_major_formatter("{x:.0f}")
    lower.yaxis.set_minor_formatter(LogFormatter())
    for ax in (upper, lower):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
    return figure
