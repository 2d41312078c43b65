"""Whether a denoiser before a network helps: the same net with and without it, over seeds."""

import statistics
from collections.abc import Sequence
from math import sqrt

from scipy.stats import t as student

from lenssim.learn.report.table import Row

__all__ = ["through_cells"]

_LEVEL = 0.975  # of the one-sided quantile of a 95 % interval


def through_cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return the changes of the main score by a denoiser, as the cells of a table.

    Compared are runs of the same net, judged on the same data, with the same number of training
    images. The interval is Welch's, over the seeds of both sides; both see the same images.

    Args:
        rows: The rows of a report.

    Returns:
        A line for each net and data set with at least two seeds on both sides.

    Example:
        >>> through_cells([])
        []
    """
    sides: dict[tuple[str, str, int], dict[bool, list[Row]]] = {}
    for row in rows:
        if row.members == 1 and row.headlines:
            key = (row.net, row.data, row.train_images)
            sides.setdefault(key, {}).setdefault(bool(row.through), []).append(row)
    lines = []
    for (net, _, images), by_side in sides.items():
        if all(len(by_side.get(side, [])) > 1 for side in (False, True)):
            lines.append(_line(net, images, by_side[False], by_side[True]))
    return lines


def _line(
    net: str, images: int, without: Sequence[Row], through: Sequence[Row]
) -> dict[str, str]:
    """Return the comparison of one net as cells."""
    key, name = next(iter(without[0].headlines.items()))
    before = [row.metrics[key]["value"] for row in without]
    after = [row.metrics[key]["value"] for row in through]
    low, high = _interval(before, after)
    verdict = "not shown"
    if low > 0:
        verdict = "yes"
    elif high < 0:
        verdict = "no, it harms"
    return {
        "net": net,
        "images": f"{images:,}",
        "judged on": without[0].title,
        "seeds": f"{len(before)} / {len(after)}",
        f"{name} without": f"{statistics.mean(before):.4f}",
        f"{name} through {through[0].through}": f"{statistics.mean(after):.4f}",
        "change": f"{(low + high) / 2:+.4f} [{low:+.4f}, {high:+.4f}]",
        "does it help": verdict,
    }


def _interval(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """Return Welch's 95 % interval of the difference of two means."""
    parts = [statistics.variance(values) / len(values) for values in (before, after)]
    change = statistics.mean(after) - statistics.mean(before)
    variance = sum(parts)
    if variance == 0:
        return change, change
    counts = (len(before), len(after))
    freedom = variance**2 / sum(
        part**2 / (count - 1) for part, count in zip(parts, counts, strict=True)
    )
    half = float(student.ppf(_LEVEL, freedom)) * sqrt(variance)
    return change - half, change + half
