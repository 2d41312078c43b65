"""What an evaluation shows of measurements: figures, and tables beside published errors."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.figures.attribution import examples_figure
from lenssim.learn.figures.regression import (
    bins_figure,
    corner_figure,
    coverage_figure,
    distance_figure,
    errors_figure,
    ranks_figure,
    truth_figure,
)
from lenssim.learn.scores.classification import interval_text
from lenssim.learn.scores.posterior import DRAWS
from lenssim.learn.scores.published import published
from lenssim.learn.scores.regression import RegressionScores, interval, percentile_68

__all__ = ["compared_errors", "measure_figures", "measure_tables"]

_SHOWN = 16  # images of a gallery
_POINTS = 20_000  # of a corner plot
_RESAMPLES = 200
_KINDS = {"error_68": "68 % error", "mae": "Mean absolute error"}
Table = Mapping[str, np.ndarray]


def measure_figures(
    found: RegressionScores,
    scores: Mapping[str, Any],
    dataset: ShardDataset,
    rows: np.ndarray,
    preset: str | None,
    title: str,
) -> dict[str, Callable[[], Figure]]:
    """Functions that draw the figures of an evaluation, by name, of the rows (N,) of its data set."""
    names = found.names
    kind = _compared(names, preset)
    errors = {
        name: (own[kind]["value"], own[kind]["low"], own[kind]["high"])
        for name, own in scores["targets"].items()
    }
    certainty = np.linalg.slogdet(
        found.posterior.covariance
        / np.outer(found.posterior.spread, found.posterior.spread)
    )[1]
    order = np.argsort(certainty)
    one = order[len(order) // 2]

    def gallery(chosen: np.ndarray, which: str) -> Figure:
        labels = [
            f"{found.posterior.mean[k, 0]:.3g} ± {found.sigma[k, 0]:.2g}\n({found.truth[k, 0]:.3g})"
            for k in chosen
        ]
        return examples_figure(
            dataset.images(rows[chosen]),
            labels,
            f"{which}: {names[0]}, and the truth below. {title}",
        )

    def corner() -> Figure:
        drawn = found.posterior.of(np.array([one])).sample(_POINTS, found.seed)[:, 0]
        return corner_figure(
            names, drawn, found.truth[one], f"the image of middling certainty. {title}"
        )

    return {
        "errors": partial(
            errors_figure,
            _KINDS[kind],
            {"this run": errors},
            _others(kind, names, preset),
            title,
        ),
        "truth": partial(
            truth_figure, names, found.truth, found.posterior.mean, found.sigma, title
        ),
        "coverage": lambda: coverage_figure(names, found.central_probability, found.joint_probability, title),
        "chi2": lambda: distance_figure(
            found.distance, len(names), found.facts()["chi2_ks"]["p_value"], title
        ),
        "ranks": lambda: ranks_figure(names, *found.ranks, DRAWS, title),
        "bins": partial(bins_figure, scores["targets"], title),
        "certain": partial(gallery, order[:_SHOWN], "most certain"),
        "uncertain": partial(gallery, order[::-1][:_SHOWN], "least certain"),
        "corner": corner,
    }


def measure_tables(
    scores: Mapping[str, Any], preset: str | None
) -> dict[str, list[dict[str, str]]]:
    """68 % errors, and mean absolute errors, by target, with published ones; bins of each target."""
    tables = {}
    for statistic, kind in _KINDS.items():
        own = {"": "this run"} | {
            name: interval_text(target[statistic]) for name, target in scores.items()
        }
        others = _others(statistic, tuple(scores), preset)
        lines = [
            {"": source} | {name: f"{values[name]:g}" for name in scores if name in values}
            for source, values in others.items()
        ]
        mean = {"": "the mean of the training samples"} | {
            name: interval_text(target["mae_of_the_mean"])
            for name, target in scores.items()
        }
        tables[f"{kind}s"] = [own, *([mean] if statistic == "mae" else []), *lines]
    for name, target in scores.items():
        tables[f"{name} by its true value"] = [
            {key: f"{value:.4g}" for key, value in each.items()}
            for each in target["by_bin"]
        ]
    return tables


def compared_errors(
    names: Sequence[str], tables: Mapping[str, Table], title: str
) -> dict[str, Callable[[], Figure]]:
    """68 % errors of all runs by their tables of answers, beside published ones."""
    runs = {}
    for run, table in tables.items():
        runs[run] = {}
        for name in names:
            off = np.abs(table[name].astype(float) - table[f"{name}_true"].astype(float))
            score = interval(off, percentile_68, _RESAMPLES, 0)
            runs[run][name] = (score["value"], score["low"], score["high"])
    others = _others("error_68", tuple(names), None)
    return {"errors": partial(errors_figure, _KINDS["error_68"], runs, others, title)}


def _compared(names: tuple[str, ...], preset: str | None) -> str:
    """The statistic that others have published of the targets; 68 % errors where nobody has."""
    return next((kind for kind in _KINDS if published(kind, names, preset)), "error_68")


def _others(
    statistic: str, names: tuple[str, ...], preset: str | None
) -> dict[str, Mapping[str, float]]:
    return {each.source: each.values for each in published(statistic, names, preset)}
