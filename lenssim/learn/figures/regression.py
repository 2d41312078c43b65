"""Figures of measurements: answer against truth, errors, coverage, chi2, calibration ranks, and single posteriors."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import erf
from scipy.stats import binom, chi2

from lenssim.drawing import plain_style
from lenssim.learn.figures.classification import axes_of, style_of

__all__ = [
    "bins_figure",
    "corner_figure",
    "coverage_figure",
    "distance_figure",
    "errors_figure",
    "ranks_figure",
    "truth_figure",
]

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"
_SHARES = (0.954, 0.683)  # of a posterior, within the outer and the inner contour
_CELLS = 40
_MARKS = "sD^v<>"
_MOST = 4.0  # sigma of a coverage curve


def _panels(
    count: int, title: str, size: tuple[float, float] = (4.6, 4.2), most: int = 3
) -> tuple[Figure, list]:
    columns = min(count, most)
    lines = -(-count // columns)
    figure = Figure(
        figsize=(size[0] * columns, size[1] * lines), dpi=150, layout="constrained"
    )
    figure.suptitle(title, fontsize=10, color=_GREY)
    axes = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count]


@plain_style()
def truth_figure(
    names: Sequence[str], truth: np.ndarray, mean: np.ndarray, sigma: np.ndarray, title: str
) -> Figure:
    """Answer against truth (N, T), coloured by the sigma that the network gives."""
    figure, axes = _panels(len(names), title)
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
        ax.plot(ends, ends, color=_GREY, linewidth=0.8, linestyle=(0, (2, 3)))
        ax.set(xlabel=f"true {name}", ylabel=f"{name} of the network")
        figure.colorbar(dots, ax=ax, label="sigma")
    return figure


@plain_style()
def coverage_figure(
    names: Sequence[str], shares: np.ndarray, joint: np.ndarray, title: str
) -> Figure:
    """Share of truths within n sigma against n, by the level (N, T) at which each is reached, and (N,) of all together.

    n sigma stand for the share of a normal distribution within them.
    """
    figure, (ax,) = axes_of(title, "sigma", "share of truths within")
    sigma = np.linspace(0, _MOST, 161)
    level = erf(sigma / np.sqrt(2))
    curves = {name: shares[:, k] for k, name in enumerate(names)}
    if len(names) > 1:
        curves["all together"] = joint
    for k, (name, off) in enumerate(curves.items()):
        style = (
            {"color": "black", "linewidth": 2.2, "alpha": 0.6}
            if name == "all together"
            else style_of(k)
        )
        ax.plot(
            sigma,
            np.searchsorted(np.sort(off), level, side="right") / len(off),
            label=name,
            **style,
        )
    ax.plot(
        sigma,
        level,
        color=_GREY,
        linestyle=(0, (1, 1)),
        linewidth=2,
        label="as it should be",
    )
    for n in (1, 2, 3):
        ax.axvline(n, color=_GREY, linewidth=0.6, alpha=0.5)
    ax.set(xlim=(0, _MOST), ylim=(0, 1.01))
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


@plain_style()
def distance_figure(
    distance: np.ndarray, targets: int, p_value: float, title: str
) -> Figure:
    """Histogram of chi2 (N,) over all targets, with the distribution that right errors give."""
    figure, (ax,) = axes_of(title, "chi2 of an image (last bin: and above)", "density")
    edge = chi2(targets).ppf(0.999)
    grid = np.linspace(edge / 400, edge, 400)
    ax.hist(
        np.minimum(distance, edge),
        bins=40,
        range=(0, edge),
        density=True,
        color=_BLUE,
        alpha=0.6,
        label="judged",
    )
    ax.plot(grid, chi2(targets).pdf(grid), color=_ORANGE, label=f"chi2 of {targets}")
    ax.set_ylim(0, None)
    if targets == 1:
        ax.set_yscale("log")
        ax.set_ylim(1e-4, None)
        ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(
        frameon=False,
        fontsize=9,
        title=f"Kolmogorov-Smirnov p = {p_value:.2g}",
        title_fontsize=9,
    )
    return figure


@plain_style()
def ranks_figure(
    names: Sequence[str], ranks: np.ndarray, joint: np.ndarray, draws: int, title: str
) -> Figure:
    """Ranks of truths among draws (n, T), and of their densities (n,), as their distribution less the uniform one.

    Above zero: answers too large; first above, then below: errors too small; for the density, below: errors too small.
    Grey: where 95 % lie at each rank if all is right.
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
        grid, low, high, color=_GREY, alpha=0.2, linewidth=0, label="95 % of right ones"
    )
    curves = {name: ranks[:, k] for k, name in enumerate(names)} | {"density": joint}
    for k, (name, own) in enumerate(curves.items()):
        style = (
            {"color": "black", "linewidth": 2, "alpha": 0.6}
            if name == "density"
            else style_of(k)
        )
        below = np.searchsorted(np.sort(own), np.arange(1, draws + 1)) / count
        ax.plot(grid, below - grid, label=name, **style)
    ax.set_xlim(0, 1)
    ax.legend(frameon=False, fontsize=9)
    return figure


@plain_style()
def bins_figure(scores: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """MAE, RMSE and stated sigma by bin of the truth, of `by_bin` by target; dotted: of the training samples' mean."""
    figure, axes = _panels(len(scores), title)
    for ax, (name, own) in zip(axes, scores.items(), strict=True):
        bins = own["by_bin"]
        middles = [(b["from"] + b["to"]) / 2 for b in bins]
        halves = [(b["to"] - b["from"]) / 2 for b in bins]
        for k, (key, label) in enumerate(
            {"mae": "MAE", "rmse": "RMSE", "sigma": "mean sigma"}.items()
        ):
            style = style_of(k) | {
                "linestyle": "none",
                "marker": "o" if key != "sigma" else "x",
                "markersize": 4,
            }
            ax.errorbar(middles, [b[key] for b in bins], xerr=halves, label=label, **style)
            if key != "sigma":
                ax.stairs(
                    [b[f"{key}_of_the_mean"] for b in bins],
                    [bins[0]["from"], *(b["to"] for b in bins)],
                    color=style["color"],
                    linestyle=":",
                    label=f"{label} of the mean",
                )
        ax.set(xlabel=f"true {name}", ylabel=f"error of {name}", ylim=(0, None))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.legend(frameon=False, fontsize=7)
    return figure


@plain_style()
def errors_figure(
    kind: str,
    runs: Mapping[str, Mapping[str, tuple[float, float, float]]],
    others: Mapping[str, Mapping[str, float]],
    title: str,
) -> Figure:
    """Errors of a kind (value, low, high) by run and target, beside published ones by source and target."""
    names = list(dict.fromkeys(name for own in runs.values() for name in own))
    figure, axes = _panels(len(names), title, (2.6 if len(names) > 1 else 5.2, 3.6), 6)
    for ax, name in zip(axes, names, strict=True):
        for k, (run, own) in enumerate(runs.items()):
            value, low, high = own[name]
            error = [[max(value - low, 0)], [max(high - value, 0)]]
            ax.errorbar(
                [k],
                [value],
                error,
                marker="o",
                capsize=3,
                label=run,
                color=style_of(k)["color"],
            )
        for k, (source, own) in enumerate(others.items()):
            if name in own:
                style = {
                    "color": "black",
                    "markerfacecolor": "white",
                    "linestyle": "none",
                    "marker": _MARKS[k % 6],
                }
                ax.plot([len(runs) + k], [own[name]], label=source, **style)
        ax.set(
            title=name,
            xticks=[],
            ylim=(0, 1.1 * ax.dataLim.y1),
            xlim=(-0.7, len(runs) + len(others) - 0.3),
        )
        ax.grid(axis="y", alpha=0.25, linewidth=0.6)
    axes[0].set_ylabel(kind)
    handles = {
        label: line
        for ax in axes
        for line, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
    )
    return figure


@plain_style()
def corner_figure(
    names: Sequence[str], draws: np.ndarray, truth: np.ndarray, title: str
) -> Figure:
    """One posterior by draws (D, T): histograms, and contours of 68 and 95 % of each pair; lines: truth (T,)."""
    count = len(names)
    side = max(1.9 * count + 1.2, 4.6)
    figure = Figure(figsize=(side, side), dpi=130, layout="constrained")
    figure.suptitle(fill(title, int(13 * side)), fontsize=9, color=_GREY)
    axes = figure.subplots(count, count, squeeze=False)
    edges = [
        np.linspace(*np.quantile(draws[:, k], [0.001, 0.999]), _CELLS + 1)
        for k in range(count)
    ]
    for row, column in np.ndindex(count, count):
        ax = axes[row, column]
        if column > row:
            ax.set_axis_off()
            continue
        if row == column:
            ax.hist(draws[:, row], bins=edges[row], histtype="step", color=_BLUE)
            ax.set_yticks([])
        else:
            cells, *_ = np.histogram2d(
                draws[:, row], draws[:, column], bins=(edges[row], edges[column])
            )
            cells = _smooth(cells)
            order = np.sort(cells.ravel())[::-1]
            held = order.cumsum() / order.sum()
            levels = sorted(
                {float(order[np.searchsorted(held, share)]) for share in _SHARES}
            )
            middles = [(edge[1:] + edge[:-1]) / 2 for edge in (edges[column], edges[row])]
            ax.contourf(
                *middles,
                cells,
                levels=[*levels, order[0] * 1.01],
                colors=["#A6CBE3", _BLUE],
            )
            ax.axhline(truth[row], color=_ORANGE, linewidth=1)
        ax.axvline(truth[column], color=_ORANGE, linewidth=1)
        ax.tick_params(
            labelsize=6, labelbottom=row == count - 1, labelleft=0 == column < row
        )
        if row == count - 1:
            ax.set_xlabel(names[column], fontsize=8)
        if column == 0 and row:
            ax.set_ylabel(names[row], fontsize=8)
    return figure


def _smooth(cells: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(cells, 1.2)
