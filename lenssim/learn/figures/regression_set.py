"""Figures and tables of an evaluation of measurements, beside published errors."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.figures.attribution import examples_figure
from lenssim.learn.figures.corner import corner_figure
from lenssim.learn.figures.regression import (
    bins_figure,
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

_GALLERY_IMAGES = 16
_CORNER_DRAWS = 20_000
_RESAMPLES = 200
_KINDS = {"error_68": "68 % error", "mae": "Mean absolute error"}
Table = Mapping[str, np.ndarray]
Interval = tuple[float, float, float]


def measure_figures(
    regression: RegressionScores,
    scores: Mapping[str, Any],
    dataset: ShardDataset,
    rows: np.ndarray,
    preset: str | None,
    title: str,
) -> dict[str, Callable[[], Figure]]:
    """Return functions that draw the figures of an evaluation.

    Args:
        regression: Posteriors and truth of N samples.
        scores: Their scores.
        dataset: The data set.
        rows: Rows (N,) of the samples.
        preset: Name of the preset of the data, if any.
        title: Title of the figures.

    Returns:
        Functions by name of the figure.
    """
    by_certainty = _by_certainty(regression)
    gallery = partial(_gallery, regression, dataset, rows, title)
    most_certain = by_certainty[:_GALLERY_IMAGES]
    least_certain = by_certainty[::-1][:_GALLERY_IMAGES]
    median = by_certainty[len(by_certainty) // 2]
    return {
        "errors": _errors(regression.names, scores, preset, title),
        **_calibration_figures(regression, title),
        "bins": partial(bins_figure, scores["targets"], title),
        "certain": partial(gallery, most_certain, "most certain"),
        "uncertain": partial(gallery, least_certain, "least certain"),
        "corner": partial(_corner, regression, median, title),
    }


def _calibration_figures(
    regression: RegressionScores, title: str
) -> dict[str, Callable[[], Figure]]:
    """Return functions that draw truth, coverage, chi2 and ranks."""
    names = regression.names
    return {
        "truth": partial(
            truth_figure,
            names,
            regression.truth,
            regression.posterior.mean,
            regression.sigma,
            title,
        ),
        "coverage": lambda: coverage_figure(
            names, regression.central_probability, regression.joint_probability, title
        ),
        "chi2": lambda: distance_figure(
            regression.distance,
            len(names),
            regression.facts()["chi2_ks"]["p_value"],
            title,
        ),
        "ranks": lambda: ranks_figure(names, *regression.ranks, DRAWS, title),
    }


def _by_certainty(regression: RegressionScores) -> np.ndarray:
    """Return the samples (N,) in the order of the volume of their posteriors."""
    posterior = regression.posterior
    scale = np.outer(posterior.spread, posterior.spread)
    return np.argsort(np.linalg.slogdet(posterior.covariance / scale)[1])


def _errors(
    names: tuple[str, ...], scores: Mapping[str, Any], preset: str | None, title: str
) -> Callable[[], Figure]:
    """Return a function that draws the errors beside published ones."""
    kind = _published_kind(names, preset)
    errors = {
        name: _ends(target_scores[kind])
        for name, target_scores in scores["targets"].items()
    }
    literature = _published_errors(kind, names, preset)
    return partial(errors_figure, _KINDS[kind], {"this run": errors}, literature, title)


def _ends(score: Mapping[str, float]) -> Interval:
    return score["value"], score["low"], score["high"]


def _gallery(
    regression: RegressionScores,
    dataset: ShardDataset,
    rows: np.ndarray,
    title: str,
    samples: np.ndarray,
    description: str,
) -> Figure:
    """Draw the images of samples with answer, sigma and truth of the first target."""
    mean = regression.posterior.mean[samples, 0]
    sigma = regression.sigma[samples, 0]
    truth = regression.truth[samples, 0]
    labels = [
        f"{answer:.3g} ± {error:.2g}\n({true:.3g})"
        for answer, error, true in zip(mean, sigma, truth, strict=True)
    ]
    caption = f"{description}: {regression.names[0]}, and the truth below. {title}"
    return examples_figure(dataset.images(rows[samples]), labels, caption)


def _corner(regression: RegressionScores, sample: int, title: str) -> Figure:
    """Draw the posterior of one sample."""
    posterior = regression.posterior.of(np.array([sample]))
    draws = posterior.sample(_CORNER_DRAWS, regression.seed)[:, 0]
    caption = f"the image of middling certainty. {title}"
    return corner_figure(regression.names, draws, regression.truth[sample], caption)


def measure_tables(
    scores: Mapping[str, Any], preset: str | None
) -> dict[str, list[dict[str, str]]]:
    """Return tables of errors by target with published ones, and of the bins of each target.

    Args:
        scores: Scores by target.
        preset: Name of the preset of the data, if any.

    Returns:
        Lines of cells, by title of the table.
    """
    tables = {}
    for statistic, kind in _KINDS.items():
        lines = [_line("this run", scores, statistic)]
        if statistic == "mae":
            lines.append(
                _line("the mean of the training samples", scores, "mae_of_the_mean")
            )
        literature = _published_errors(statistic, tuple(scores), preset)
        for source, values in literature.items():
            cells = {name: f"{values[name]:g}" for name in scores if name in values}
            lines.append({"": source} | cells)
        tables[f"{kind}s"] = lines
    for name, target_scores in scores.items():
        tables[f"{name} by its true value"] = [
            {key: f"{value:.4g}" for key, value in bin_scores.items()}
            for bin_scores in target_scores["by_bin"]
        ]
    return tables


def _line(label: str, scores: Mapping[str, Any], statistic: str) -> dict[str, str]:
    cells = {name: interval_text(target[statistic]) for name, target in scores.items()}
    return {"": label} | cells


def compared_errors(
    names: Sequence[str], tables: Mapping[str, Table], title: str
) -> dict[str, Callable[[], Figure]]:
    """Return a function that draws the 68 % errors of several runs, beside published ones.

    Args:
        names: Names of the targets.
        tables: Tables of evaluations, by run.
        title: Title of the figure.

    Returns:
        The function, by name of the figure.
    """
    runs = {
        run: {name: _table_error(table, name) for name in names}
        for run, table in tables.items()
    }
    literature = _published_errors("error_68", tuple(names), None)
    kind = _KINDS["error_68"]
    return {"errors": partial(errors_figure, kind, runs, literature, title)}


def _table_error(table: Table, name: str) -> Interval:
    """Return the 68 % error of a target with its interval."""
    errors = np.abs(table[name].astype(float) - table[f"{name}_true"].astype(float))
    return _ends(interval(errors, percentile_68, _RESAMPLES, 0))


def _published_kind(names: tuple[str, ...], preset: str | None) -> str:
    """Return the kind of error that is published for the targets, by default the 68 % error."""
    return next((kind for kind in _KINDS if published(kind, names, preset)), "error_68")


def _published_errors(
    statistic: str, names: tuple[str, ...], preset: str | None
) -> dict[str, Mapping[str, float]]:
    """Return the published errors by source."""
    return {result.source: result.values for result in published(statistic, names, preset)}
