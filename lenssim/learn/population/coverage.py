"""Summaries of inferred populations, and their coverage of the truth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lenssim.intervals import wilson
from lenssim.learn.population.inference import Inferred
from lenssim.learn.scores.classification import interval_text
from lenssim.learn.scores.posterior import LEVELS

__all__ = ["coverage", "coverage_cells", "summary"]

_QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)


def summary(
    columns: Sequence[str], inferred: Inferred, truths: np.ndarray | None, k: int
) -> dict[str, Any]:
    """Return the posterior of a population by parameter.

    Args:
        columns: Names (P) of the parameters.
        inferred: The population.
        truths: True parameters (G, P) of all populations, if known.
        k: Number of the population among them.

    Returns:
        A JSON document.
    """
    quantiles = np.quantile(inferred.draws, _QUANTILES, axis=0)
    document: dict[str, Any] = {
        "images": inferred.images,
        "effective_draws": inferred.effective,
    }
    for j, name in enumerate(columns):
        document[name] = {
            "mean": float(inferred.mean[j]),
            "sigma": float(inferred.sigma[j]),
            "quantiles": quantiles[:, j].tolist(),
        }
        if truths is not None:
            document[name]["truth"] = float(truths[k, j])
    return document


def coverage(
    columns: Sequence[str],
    populations: Sequence[Inferred],
    truths: np.ndarray,
    spread: np.ndarray,
) -> dict[str, Any]:
    """Compare inferred populations with their truths.

    Args:
        columns: Names (P) of the parameters.
        populations: G populations.
        truths: True parameters (G, P).
        spread: Standard deviations (T,) of the prior for the first T parameters.

    Returns:
        By parameter: the rms error, the mean sigma, that of the prior, and the shares of truths in
        central intervals, with their intervals of one sigma.
    """
    share_below = np.array(
        [inferred.below(truth) for inferred, truth in zip(populations, truths, strict=True)]
    )
    errors = np.array([inferred.mean for inferred in populations]) - truths
    sigma = np.array([inferred.sigma for inferred in populations])
    result: dict[str, Any] = {"populations": len(populations)}
    for j, name in enumerate(columns):
        result[name] = {
            "rmse": float(np.sqrt((errors[:, j] ** 2).mean())),
            "sigma": float(sigma[:, j].mean()),
        }
        if j < len(spread):
            result[name]["sigma_of_the_prior"] = float(spread[j])
        for k, level in LEVELS.items():
            is_covered = np.abs(2 * share_below[:, j] - 1) <= level
            result[name][f"within_{k}"] = _share_with_interval(is_covered)
    return result


def _share_with_interval(is_covered: np.ndarray) -> dict[str, float]:
    """Return a share with its interval of one sigma."""
    share = np.array(is_covered.mean())
    low, high = wilson(share, np.array(len(is_covered)))
    return {"value": float(share), "low": float(low), "high": float(high)}


def coverage_cells(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return errors and coverage as the cells of a table.

    Args:
        document: The content of population.json.

    Returns:
        One line for each number of images and each parameter.

    Example:
        >>> coverage_cells({})
        []
    """
    lines = []
    for size, scores in document.get("coverage", {}).items():
        for name, score in scores.items():
            if isinstance(score, dict):
                counts = {"images": size, "populations": str(scores["populations"])}
                lines.append(counts | _coverage_line(name, score))
    return lines


def _coverage_line(name: str, score: Mapping[str, Any]) -> dict[str, str]:
    sigma_of_the_prior = ""
    if "sigma_of_the_prior" in score:
        sigma_of_the_prior = f"{score['sigma_of_the_prior']:.3g}"
    return {
        "number": name,
        "rms error": f"{score['rmse']:.3g}",
        "mean sigma": f"{score['sigma']:.3g}",
        "of the prior": sigma_of_the_prior,
        **{f"within {k} sigma": interval_text(score[f"within_{k}"], 2) for k in LEVELS},
    }
