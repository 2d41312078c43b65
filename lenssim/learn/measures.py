"""Scores and figures of measurements: intervals, truth against answer, coverage, chi2."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.special import erf
from scipy.stats import chi2

__all__ = ["coverage_figure", "distance_figure", "interval", "truth_figure"]

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"
_CHUNK = 2**22  # values that are resampled at a time


def interval(
    values: np.ndarray, statistic: Callable[..., np.ndarray], resamples: int, seed: int, level: float = 0.95
) -> dict[str, float]:
    """A statistic of values (N,), with its percentile interval over samples drawn with replacement."""
    rng, n = np.random.default_rng(seed), len(values)
    rows = max(1, _CHUNK // n)
    counts = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    drawn = np.concatenate([statistic(values[rng.integers(n, size=(count, n))], axis=1) for count in counts])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return {"value": float(statistic(values)), "low": float(low), "high": float(high)}


def truth_figure(names: Sequence[str], truth: np.ndarray, mean: np.ndarray, sigma: np.ndarray, title: str) -> Figure:
    """Answer against truth (N, T), coloured by the sigma that the network gives."""
    columns = min(len(names), 3)
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(4.6 * columns, 4.2 * lines), dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=10, color=_GREY)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    for k, (ax, name) in enumerate(zip(axes, names, strict=False)):
        order = np.argsort(-sigma[:, k])  # the certain ones on top
        dots = ax.scatter(truth[order, k], mean[order, k], c=sigma[order, k], s=6, cmap="viridis_r", linewidths=0)
        ends = [truth[:, k].min(), truth[:, k].max()]
        ax.plot(ends, ends, color=_GREY, linewidth=0.8, linestyle=(0, (2, 3)))
        ax.set(xlabel=f"true {name}", ylabel=f"{name} of the network")
        ax.spines[["top", "right"]].set_visible(False)
        figure.colorbar(dots, ax=ax, label="sigma")
    return figure


def coverage_figure(names: Sequence[str], pulls: np.ndarray, title: str) -> Figure:
    """Share of truths within n sigma against n, by target, of pulls (N, T); dotted: of a Gaussian."""
    figure = Figure(figsize=(5.2, 4.6), dpi=150, layout="constrained")
    ax = figure.subplots()
    ax.set_title(title, fontsize=10, color=_GREY)
    level = np.linspace(0, 3.5, 141)
    for k, name in enumerate(names):
        ax.plot(level, np.searchsorted(np.sort(np.abs(pulls[:, k])), level, side="right") / len(pulls), label=name)
    ax.plot(level, erf(level / np.sqrt(2)), color="black", linestyle=":", label="as it should be")
    ax.set(xlabel="sigma", ylabel="share of truths within", xlim=(0, 3.5), ylim=(0, 1.01))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return figure


def distance_figure(distance: np.ndarray, targets: int, title: str) -> Figure:
    """Histogram of chi2 (N,) over all targets, with the distribution that right errors give."""
    figure = Figure(figsize=(5.2, 4.6), dpi=150, layout="constrained")
    ax = figure.subplots()
    ax.set_title(title, fontsize=10, color=_GREY)
    edge = chi2(targets).ppf(0.999)
    grid = np.linspace(edge / 400, edge, 400)
    ax.hist(np.minimum(distance, edge), bins=40, range=(0, edge), density=True, color=_BLUE, alpha=0.6, label="judged")
    ax.plot(grid, chi2(targets).pdf(grid), color=_ORANGE, label=f"chi2 of {targets}")
    ax.set(xlabel="chi2 of a sample (the last bin: and above)", ylabel="density", ylim=(0, None))
    if targets == 1:
        ax.set_yscale("log")
        ax.set_ylim(1e-4, None)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return figure
