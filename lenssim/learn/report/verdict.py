"""What a report concludes: a few sentences from its rows."""

from collections.abc import Sequence

from lenssim.learn.report.table import Row

__all__ = ["best_rows", "verdict"]

_MOST_NAMED = 4


def verdict(rows: Sequence[Row]) -> list[str]:
    """Return what a report concludes, one sentence a line.

    The first sentences name the best run on each data set, chosen by its validation loss. Then
    follow runs that have learned nothing, and what the leak audit reaches without a network.

    Args:
        rows: The rows of the report.

    Example:
        >>> verdict([])
        []
    """
    if not rows:
        return []
    return [*_best(rows), *_doubts(rows), *_leaks(rows)]


def best_rows(rows: Sequence[Row]) -> dict[str, Row]:
    """Return the row of the smallest validation loss by data set, where losses compare."""
    best: dict[str, Row] = {}
    for row in rows:
        if row.validation_loss is None:
            continue
        rival = best.get(row.data)
        if rival is not None and list(rival.headlines) != list(row.headlines):
            continue  # losses of two tasks do not compare
        if rival is None or row.validation_loss < _loss(rival):
            best[row.data] = row
    return best


def _loss(row: Row) -> float:
    assert row.validation_loss is not None
    return row.validation_loss


def _best(rows: Sequence[Row]) -> list[str]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.data] = counts.get(row.data, 0) + (row.members == 1)
    sentences = []
    for data, row in best_rows(rows).items():
        scores = "; ".join(f"{name} {text}" for name, text in row.main_scores.items())
        choice = ""
        if counts[data] > 1:
            choice = f", the best of {counts[data]} by its validation loss"
        sentences.append(f"On {data}: {row.run} ({row.net}){choice}. {scores}.")
    return sentences


def _doubts(rows: Sequence[Row]) -> list[str]:
    """Name the runs that have learned nothing."""
    runs: dict[str, list[str]] = {}
    for row in rows:
        for doubt in row.doubts:
            runs.setdefault(doubt, []).append(f"{row.run} on {row.data}")
    return [f"Warning, {doubt}: {_names(names)}." for doubt, names in runs.items()]


def _names(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"


def _leaks(rows: Sequence[Row]) -> list[str]:
    """Compare the networks with the leak audit of their data."""
    audits = {row.data: row for row in rows if row.leaks.get("leaks")}
    if not audits:
        return []
    sentences = []
    for data, audited in audits.items():
        reached = max(float(leak["auc"]) for leak in audited.leaks["leaks"])
        sentence = (
            f"Without a network, simple statistics reach an AUC of {reached:.3f} on {data}"
        )
        beaten = [row.run for row in rows if row.data == data and _below(row, reached)]
        if beaten:
            sentences.append(f"Warning: {sentence}, more than {_names(beaten)}.")
        else:
            sentences.append(f"{sentence}.")
    return sentences


def _below(row: Row, auc: float) -> bool:
    scores = [
        row.metrics[key]["value"] for key in ("macro_auc", "auc") if key in row.headlines
    ]
    return any(score is not None and score < auc for score in scores)
