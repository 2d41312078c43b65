"""Figures of a finder: ROC in logarithmic rates, purity, completeness, and its worst errors."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenssim.drawing import plain_style
from lenssim.intervals import wilson
from lenssim.learn.figures.style import (
    DOTTED,
    axes_of,
    log_axis,
    style_of,
    titled_figure,
)
from lenssim.learn.scores.finding import Ranking

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset

__all__ = ["completeness_figure", "gallery_figure", "purity_figure", "rates_figure"]

_GALLERY = 8  # errors of each kind
_SKY_NOISE = 3.0
_COLUMNS = 3
_LOGARITHMIC = 20.0  # ratio of the ends of an axis beyond which it is logarithmic


@plain_style()
def rates_figure(ranked: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Draw ROC curves with a logarithmic rate of false positives.

    Args:
        ranked: For each run, whether each image is a lens, and its score, both (N,).
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "false-positive rate", "lenses found")
    lowest = 1.0
    for k, (run, (truth, score)) in enumerate(ranked.items()):
        ranking = Ranking.of(truth, score)
        tpr, fpr = ranking.rates()
        one_wrong = 1 / max((~truth).sum(), 1)
        lowest = min(lowest, one_wrong)
        area = ranking.scores()["auc"][0]
        label = f"{run}  AUC {area:.4f}".strip()
        x = np.r_[one_wrong / 2, np.maximum(fpr, one_wrong / 2)]
        ax.plot(x, np.r_[0, tpr], drawstyle="steps-post", label=label, **style_of(k))
    grid = np.geomspace(lowest / 2, 1, 200)
    ax.plot(grid, grid, label="chance", **DOTTED)
    log_axis(ax, "x")
    ax.set(xlim=(lowest / 2, 1), ylim=(0, 1.01))
    ax.legend(loc="best", frameon=False, fontsize=9)
    return figure


@plain_style()
def purity_figure(
    truth: np.ndarray, score: np.ndarray, prevalence: float, title: str
) -> Figure:
    """Draw purity against completeness, at the stated prevalence and at rarer ones.

    Args:
        truth: Whether each image is a lens, bool (N,).
        score: Scores (N,).
        prevalence: Share of lenses.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "completeness", "purity")
    ranking = Ranking.of(truth, score)
    for k, share in enumerate(dict.fromkeys((prevalence, 1e-2, 1e-3))):
        curve = ranking.curve(share)
        label = f"prevalence {share:.3g}"
        ax.plot(curve["completeness"], curve["purity"], label=label, **style_of(k))
    ax.set(xlim=(0, 1), ylim=(0, 1.01))
    ax.legend(loc="best", frameon=False, fontsize=9)
    return figure


@plain_style()
def completeness_figure(
    tables: Mapping[str, Sequence[Mapping[str, Any]]], title: str
) -> Figure:
    """Draw the share of lenses found by each of their properties.

    Args:
        tables: Bins of each property, as `completeness_by` gives them.
        title: Title of the figure.

    Returns:
        The figure.
    """
    columns = min(_COLUMNS, len(tables))
    lines = -(-len(tables) // columns)
    figure = titled_figure(title, 3.2 * columns + 0.4, 2.7 * lines + 0.5)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax, (name, bins) in zip(axes, tables.items(), strict=False):
        _draw_bins(ax, bins)
        ax.set(xlabel=name, ylim=(0, 1.01))
    for ax in axes[len(tables) :]:
        ax.axis("off")
    axes[0].set_ylabel("found above the threshold of 0.01")
    return figure


def _draw_bins(ax: Axes, bins: Sequence[Mapping[str, Any]]) -> None:
    """Draw the completeness of each bin with its interval."""
    low = np.array([entry["low"] for entry in bins], np.float64)
    high = np.array([entry["high"] for entry in bins])
    counts = np.array([entry["n"] for entry in bins])
    share = np.array([entry["completeness"] for entry in bins])
    centres = (low + high) / 2
    start = low[0] or high[0] / _LOGARITHMIC  # a bin may begin at 0, as pixels of arcs do
    logarithmic = start > 0 and high[-1] > _LOGARITHMIC * start
    if logarithmic:
        low[0] = start
        centres = np.sqrt(low * high)
    bottom, top = wilson(share, counts)
    ends = np.abs(np.stack([share - bottom, top - share]))
    widths = np.stack([centres - low, high - centres])
    ax.errorbar(centres, share, ends, widths, fmt="o", markersize=4, linewidth=1)
    if logarithmic:
        log_axis(ax, "x")


@plain_style()
def gallery_figure(
    dataset: "ShardDataset",
    rows: np.ndarray,
    truth: np.ndarray,
    score: np.ndarray,
    title: str,
) -> Figure:
    """Draw the others with the highest scores, and the lenses with the lowest.

    Args:
        dataset: The data set.
        rows: Its rows (N,) that were judged.
        truth: Whether each image is a lens, bool (N,).
        score: Scores (N,).
        title: Title of the figure.

    Returns:
        The figure.
    """
    order = np.argsort(-score, kind="stable")
    impostors = order[~truth[order]][:_GALLERY]
    missed = order[::-1][truth[order[::-1]]][:_GALLERY]
    figure = titled_figure(title, 1.3 * _GALLERY, 3.4)
    axes = figure.subplots(2, _GALLERY, squeeze=False)
    lines = (("others, highest scores", impostors), ("lenses, lowest scores", missed))
    for line, (name, chosen) in zip(axes, lines, strict=True):
        _bare(line, name)
        for ax, k in zip(line, chosen, strict=False):
            _draw_stamp(ax, dataset.images(rows[[k]])[0])
            number = dataset.index[rows[k]]
            ax.set_title(f"{number}: {score[k]:.3f}", fontsize=7)
    return figure


def _bare(axes: Sequence[Axes], name: str) -> None:
    """Take ticks and frames off a line of axes, and name it."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.set_frame_on(False)
    axes[0].set_ylabel(name, fontsize=7)


def _draw_stamp(ax: Axes, image: np.ndarray) -> None:
    """Draw the mean of the bands of an image (C, H, W), faint light stretched."""
    light = image.astype(np.float64) / np.maximum(_noise(image), 1e-300)[:, None, None]
    light = light.mean(axis=0)
    stretched = np.arcsinh((light - np.median(light)) / _SKY_NOISE)
    ax.imshow(stretched, origin="lower", cmap="gray", interpolation="nearest")


def _noise(image: np.ndarray) -> np.ndarray:
    """Return the noise (C,) of each band, by neighbouring pixels."""
    return 1.0484 * np.median(np.abs(np.diff(image, axis=-1)), axis=(1, 2))
