"""How much of the gap between two domains each adaptation closes, and what chose its epoch."""

import csv
import io
import statistics
from collections.abc import Sequence
from math import sqrt
from typing import Any

from scipy.stats import t as student

from lenssim.learn.report.evaluated import EvaluatedRun
from lenssim.learn.runs.run import Run

__all__ = ["NOTE", "adaptation_cells", "adaptation_csv", "gap_closed"]

NOTE = (
    "Scores are of test images of the target. Gap closed: (adapted - source only) / (reference - source only). The "
    "reference learned from the target's labels, or else is the source's network on the source. In square brackets: "
    "95 % intervals over seeds, where there are several. Oracle: the epoch of the best validation score by the "
    "target's labels. It chooses nothing, and says how far the choice without labels is from it."
)
_LEVEL = 0.975  # of the one-sided quantile of a 95 % interval


def adaptation_cells(evaluations: Sequence[EvaluatedRun]) -> list[dict[str, str]]:
    """Return a line for each method that was judged on the data it was adapted to.

    Runs that differ in their seed alone share a line.

    Args:
        evaluations: The evaluations of a report.

    Example:
        >>> adaptation_cells([])
        []
    """
    groups: dict[tuple[str, str], list[EvaluatedRun]] = {}
    for evaluation in evaluations:
        target = evaluation.run.record.target
        on_target = target is not None and target.fingerprint == evaluation.row.fingerprint
        if on_target and evaluation.row.members == 1:
            key = (evaluation.row.group, evaluation.row.data)
            groups.setdefault(key, []).append(evaluation)
    return [_line(group, evaluations) for group in groups.values()]


def _line(
    group: Sequence[EvaluatedRun], evaluations: Sequence[EvaluatedRun]
) -> dict[str, str]:
    """Return the cells of runs that differ in their seed alone."""
    example = group[0]
    key, name = next(iter(example.row.headlines.items()))
    config = example.run.record.config
    values = [evaluation.row.metrics[key]["value"] for evaluation in group]
    before = _source_only(example, evaluations, key)
    best = _reference(example, evaluations, key)
    closed = ""
    if before is not None and best is not None and best != before:
        closed = _interval_text([gap_closed(value, before, best) for value in values])
    choice, oracle = _oracle_texts(example.run)
    return {
        "method": config.method,
        "net": config.net,
        "seeds": str(len(group)),
        f"source only: {name}": _number(before),
        f"adapted: {name}": f"{statistics.mean(values):.4f}",
        f"reference: {name}": _number(best),
        "gap closed": closed,
        "chosen by": str(getattr(config, "select", "")),
        "validation at the choice": choice,
        "at the oracle's": oracle,
    }


def gap_closed(adapted: float, source_only: float, reference: float) -> float:
    """Return the share of a gap that an adaptation closes.

    Example:
        >>> gap_closed(0.8, source_only=0.6, reference=1.0)
        0.5000000000000001
    """
    return (adapted - source_only) / (reference - source_only)


def _source_only(
    adapted: EvaluatedRun, evaluations: Sequence[EvaluatedRun], key: str
) -> float | None:
    """Return the mean score, on the target, of runs that saw the source alone."""
    return _mean_score(
        [
            other
            for other in evaluations
            if _is_plain(other, adapted)
            and other.run.record.data == adapted.run.record.data
            and other.row.fingerprint == adapted.row.fingerprint
        ],
        key,
    )


def _reference(
    adapted: EvaluatedRun, evaluations: Sequence[EvaluatedRun], key: str
) -> float | None:
    """Return the score of runs on the target that learned it, or of the source's own."""
    plain = [other for other in evaluations if _is_plain(other, adapted)]
    fingerprints = (adapted.row.fingerprint, adapted.run.record.data.fingerprint)
    for fingerprint in fingerprints:
        runs = [
            other
            for other in plain
            if other.run.record.data.fingerprint == fingerprint
            and other.row.fingerprint == fingerprint
        ]
        if runs:
            return _mean_score(runs, key)
    return None


def _is_plain(other: EvaluatedRun, adapted: EvaluatedRun) -> bool:
    """Tell whether an evaluation is of a run of the same net that was not adapted."""
    record = other.run.record
    same_net = record.config.net == adapted.run.record.config.net
    return record.target is None and same_net and other.row.members == 1


def _mean_score(evaluations: Sequence[EvaluatedRun], key: str) -> float | None:
    """Return the mean of a score; None of no evaluation."""
    values = [evaluation.row.metrics[key]["value"] for evaluation in evaluations]
    return statistics.mean(values) if values else None


def _oracle_texts(run: Run) -> tuple[str, str]:
    """Return a run's validation score on the target at its choice, and at the oracle's."""
    epochs = run.epochs()
    result = run.record.result
    names = [name for name in epochs[0] if name.startswith("val_oracle_")]
    if not names or result is None:
        return "", ""
    scores = [row[names[0]] for row in epochs]
    return f"{scores[result.best_epoch - 1]:.4f}", f"{max(scores):.4f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval_text(values: Sequence[float]) -> str:
    """Return a mean in per cent, with the 95 % interval over seeds where there are several."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.0%}"
    half = float(student.ppf(_LEVEL, len(values) - 1)) * statistics.stdev(values)
    half /= sqrt(len(values))
    return f"{mean:.0%} [{mean - half:.0%}, {mean + half:.0%}]"


def adaptation_csv(evaluations: Sequence[EvaluatedRun]) -> str:
    """Return metrics and settings of all adapted runs as CSV, a line for each evaluation."""
    lines = [_csv_line(entry) for entry in evaluations if entry.run.record.target]
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _csv_line(evaluation: EvaluatedRun) -> dict[str, Any]:
    """Return the metrics and settings of one adapted run."""
    record = evaluation.run.record
    line: dict[str, Any] = {"run": evaluation.row.run, "data": evaluation.row.data}
    for key in evaluation.row.headlines:
        score = evaluation.row.metrics[key]
        line |= {
            key: score["value"],
            f"{key}_low": score["low"],
            f"{key}_high": score["high"],
        }
    if record.result is not None:
        epoch = evaluation.run.epochs()[record.result.best_epoch - 1]
        line |= {name: value for name, value in epoch.items() if name.startswith("val_")}
        line["best_epoch"] = record.result.best_epoch
    settings = record.config.model_dump(exclude={"method_settings", "live"})
    return {**line, **settings, **record.config.method_settings}
