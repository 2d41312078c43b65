"""Figures of a regression: answer against truth, errors, coverage, chi2 and calibration ranks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import erf
from scipy.stats import binom, chi2

from lenssim.drawing import plain_style
from lenssim.learn.figures.corner import corner_figure
from lenssim.learn.figures.style import (
    BLUE,
    DOTTED,
    GREY,
    ORANGE,
    axes_of,
    panels,
    style_of,
)

__all__ = [
    "bins_figure",
    "corner_figure",
    "coverage_figure",
    "distance_figure",
    "errors_figure",
    "ranks_figure",
    "truth_figure",
]

_MARKERS = "sD^v<>"
_MAX_SIGMA = 4.0  # of a coverage curve


@plain_style()
def truth_figure(
    names: Sequence[str], truth: np.ndarray, mean: np.ndarray, sigma: np.ndarray, title: str
) -> Figure:
    """Draw the answers against the truth, coloured by the sigma that the network gives.

    Args:
        names: Names (T) of the targets.
        truth: True targets (N, T).
        mean: Answers (N, T).
        sigma: Their standard deviations (N, T).
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, axes = panels(len(names), title)
    for k, (ax, name) in enumerate(zip(axes, names, strict=True)):
        order = np.argsort(-sigma[:, k])  # the certain ones on top
        dots = ax.scatter(
            truth[order, k],
            mean[order, k],
            c=sigma[order, k],
            s=6,
            cmap="viridis_r",
            linewidths=0,
        )
        ends = [truth[:, k].min(), truth[:, k].max()]
        ax.plot(ends, ends, **DOTTED)
        ax.set(xlabel=f"true {name}", ylabel=f"{name} of the network")
        figure.colorbar(dots, ax=ax, label="sigma")
    return figure


@plain_style()
def coverage_figure(
    names: Sequence[str], probability: np.ndarray, joint: np.ndarray, title: str
) -> Figure:
    """Draw the share of truths within n sigma (as a normal probability) against n.

    Args:
        names: Names (T) of the targets.
        probability: Probability (N, T) of the central interval that just contains the truth.
        joint: The same (N,) for all targets jointly.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "sigma", "share of truths within")
    sigma = np.linspace(0, _MAX_SIGMA, 161)
    level = erf(sigma / np.sqrt(2))
    for k, name in enumerate(names):
        ax.plot(sigma, _shares_within(probability[:, k], level), label=name, **style_of(k))
    if len(names) > 1:
        style: dict[str, Any] = {"color": "black", "linewidth": 2.2, "alpha": 0.6}
        ax.plot(sigma, _shares_within(joint, level), label="all together", **style)
    style = {"color": GREY, "linestyle": (0, (1, 1)), "linewidth": 2}
    ax.plot(sigma, level, label="as it should be", **style)
    for n in (1, 2, 3):
        ax.axvline(n, color=GREY, linewidth=0.6, alpha=0.5)
    ax.set(xlim=(0, _MAX_SIGMA), ylim=(0, 1.01))
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _shares_within(probability: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the share of values that are at most each level."""
    return np.searchsorted(np.sort(probability), level, side="right") / len(probability)


@plain_style()
def distance_figure(
    distance: np.ndarray, targets: int, p_value: float, title: str
) -> Figure:
    """Draw a histogram of chi2 over all targets, with its distribution for calibrated errors.

    Args:
        distance: Chi2 (N,).
        targets: Number of targets.
        p_value: p-value of the Kolmogorov-Smirnov test.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(title, "chi2 of an image (last bin: and above)", "density")
    edge = chi2(targets).ppf(0.999)
    grid = np.linspace(edge / 400, edge, 400)
    ax.hist(
        np.minimum(distance, edge),
        bins=40,
        range=(0, edge),
        density=True,
        color=BLUE,
        alpha=0.6,
        label="judged",
    )
    ax.plot(grid, chi2(targets).pdf(grid), color=ORANGE, label=f"chi2 of {targets}")
    ax.set_ylim(0, None)
    if targets == 1:
        ax.set_yscale("log")
        ax.set_ylim(1e-4, None)
        ax.yaxis.set_major_formatter("{x:g}")
    test = f"Kolmogorov-Smirnov p = {p_value:.2g}"
    ax.legend(frameon=False, fontsize=9, title=test, title_fontsize=9)
    return figure


@plain_style()
def ranks_figure(
    names: Sequence[str], ranks: np.ndarray, joint: np.ndarray, draws: int, title: str
) -> Figure:
    """Draw the distribution of ranks of truths among draws, minus the uniform one.

    Curves above zero mean that answers are too large. Curves above, then below zero mean that
    errors are too small, for the density curves below zero. Grey marks where 95 % of calibrated
    curves lie at each rank.

    Args:
        names: Names (T) of the targets.
        ranks: Ranks (n, T) by value.
        joint: Ranks (n,) by density.
        draws: Number of draws.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, (ax,) = axes_of(
        title,
        "rank of the truth among draws, as a share",
        "share of lower ranks, less uniform",
    )
    count = len(ranks)
    grid = np.arange(1, draws + 1) / (draws + 1)
    low, high = (binom.ppf(q, count, grid) / count - grid for q in (0.025, 0.975))
    ax.fill_between(
        grid, low, high, color=GREY, alpha=0.2, linewidth=0, label="95 % of right ones"
    )
    curves = {name: ranks[:, k] for k, name in enumerate(names)} | {"density": joint}
    for k, (name, curve) in enumerate(curves.items()):
        style = style_of(k)
        if name == "density":
            style = {"color": "black", "linewidth": 2, "alpha": 0.6}
        lower = np.searchsorted(np.sort(curve), np.arange(1, draws + 1)) / count
        ax.plot(grid, lower - grid, label=name, **style)
    ax.set_xlim(0, 1)
    ax.legend(frameon=False, fontsize=9)
    return figure


@plain_style()
def bins_figure(scores: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """Draw MAE, RMSE and mean sigma by bin of the truth; dotted: errors of the training mean.

    Args:
        scores: Scores with `by_bin`, by target.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure, axes = panels(len(scores), title)
    for ax, (name, score) in zip(axes, scores.items(), strict=True):
        bins = score["by_bin"]
        _plot_bins(ax, bins, "mae", "MAE", style_of(0) | {"marker": "o"})
        _plot_baseline(ax, bins, "mae", "MAE", style_of(0))
        _plot_bins(ax, bins, "rmse", "RMSE", style_of(1) | {"marker": "o"})
        _plot_baseline(ax, bins, "rmse", "RMSE", style_of(1))
        _plot_bins(ax, bins, "sigma", "mean sigma", style_of(2) | {"marker": "x"})
        ax.set(xlabel=f"true {name}", ylabel=f"error of {name}", ylim=(0, None))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.legend(frameon=False, fontsize=7)
    return figure


def _plot_bins(
    ax: Axes,
    bins: Sequence[Mapping[str, float]],
    key: str,
    label: str,
    style: dict[str, Any],
) -> None:
    """Plot a score of each bin as a point as wide as the bin."""
    centres = [(bin_["from"] + bin_["to"]) / 2 for bin_ in bins]
    halves = [(bin_["to"] - bin_["from"]) / 2 for bin_ in bins]
    style = style | {"linestyle": "none", "markersize": 4}
    ax.errorbar(centres, [bin_[key] for bin_ in bins], xerr=halves, label=label, **style)


def _plot_baseline(
    ax: Axes,
    bins: Sequence[Mapping[str, float]],
    key: str,
    label: str,
    style: dict[str, Any],
) -> None:
    """Plot the error of the training mean in each bin."""
    ax.stairs(
        [bin_[f"{key}_of_the_mean"] for bin_ in bins],
        [bins[0]["from"], *(bin_["to"] for bin_ in bins)],
        color=style["color"],
        linestyle=":",
        label=f"{label} of the mean",
    )


@plain_style()
def errors_figure(
    kind: str,
    runs: Mapping[str, Mapping[str, tuple[float, float, float]]],
    published: Mapping[str, Mapping[str, float]],
    title: str,
) -> Figure:
    """Draw the errors of runs beside published ones, by target.

    Args:
        kind: Name of the kind of error.
        runs: Error and ends of its interval (value, low, high), by run and target.
        published: Published errors, by source and target.
        title: Title of the figure.

    Returns:
        The figure.
    """
    names = list(dict.fromkeys(name for errors in runs.values() for name in errors))
    size = (2.6 if len(names) > 1 else 5.2, 3.6)
    figure, axes = panels(len(names), title, size, max_columns=6)
    for ax, name in zip(axes, names, strict=True):
        for k, (run, errors) in enumerate(runs.items()):
            _plot_error(ax, k, errors[name], run)
        for k, (source, values) in enumerate(published.items()):
            if name in values:
                _plot_published(ax, len(runs) + k, values[name], source, _MARKERS[k % 6])
        ax.set(
            title=name,
            xticks=[],
            ylim=(0, 1.1 * ax.dataLim.y1),
            xlim=(-0.7, len(runs) + len(published) - 0.3),
        )
        ax.grid(axis="y", alpha=0.25, linewidth=0.6)
    axes[0].set_ylabel(kind)
    _add_common_legend(figure, axes)
    return figure


def _plot_error(ax: Axes, x: int, error: tuple[float, float, float], label: str) -> None:
    value, low, high = error
    ax.errorbar(
        [x],
        [value],
        [[max(value - low, 0)], [max(high - value, 0)]],
        marker="o",
        capsize=3,
        label=label,
        color=style_of(x)["color"],
    )


def _plot_published(ax: Axes, x: int, value: float, label: str, marker: str) -> None:
    ax.plot(
        [x],
        [value],
        label=label,
        color="black",
        markerfacecolor="white",
        linestyle="none",
        marker=marker,
    )


def _add_common_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """Add one legend for the labels of all axes below the figure."""
    handles: dict[str, Any] = {}
    for ax in axes:
        lines, labels = ax.get_legend_handles_labels()
        handles.update(zip(labels, lines, strict=True))
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
    )
