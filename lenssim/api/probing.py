"""Probing from Python: what the features of a run tell of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.run import Run, as_run
from lenssim.api.table import Table
from lenssim.errors import ConfigError

__all__ = ["probe"]

_SHOTS = "1,5,20,100"
_JUDGES = {
    "probe": "linear layer, accuracy",
    "probe_auc": "linear layer, AUC",
    "neighbours": "ten nearest, accuracy",
}


@checked
def probe(
    run: Run | Path | str,
    data: Dataset | Path | str,
    *,
    shots: Sequence[int] | str = _SHOTS,
    draws: int = 100,
    out: Path | str | None = None,
    device: str = "auto",
) -> Table:
    """Judge the features of a run: by a linear layer, by neighbours, and by a few labels.

    Features are what the last linear layer of the run's network sees. Images that the run has
    learned from are left out.

    Args:
        run: The run, of any task, or its folder.
        data: The data set, with labels, or its folder.
        shots: Labelled images of each class, for the few-shot scores.
        draws: Number of draws of these labelled images.
        out: Folder of probe.json and the figures; None: probe-... in the run's folder.
        device: auto, cpu, cuda or mps.

    Returns:
        A row for each judge: the number of labelled images that teach it, the score, and its
        interval. The title has the share of the most frequent class.

    Raises:
        ConfigError: The network has no linear layer, the data no labels, or a number is out of
            range.
        DataError: The images do not fit the run, or are too few.

    Example:
        >>> table = probe("runs/cnn", "data/III", shots=(1, 5), draws=3)
        >>> list(table)
        ['judge', 'labels', 'value', 'low', 'high']
    """
    from lenssim.learn.evaluation.probing import probe as judge

    model = as_run(run)
    folder = data.source.folder if isinstance(data, Dataset) else data
    document = judge(
        model.trained,
        model.trained.opened(folder),
        shots=_counts(shots),
        draws=_positive("draws", draws),
        folder=None if out is None else Path(out),
        device=device,
    )
    count = 4 * document["n"] // 5
    rows = [(name, count, document["metrics"][key]) for key, name in _JUDGES.items()]
    classes = len(document["classes"])
    rows += [
        (f"{name}, AUC", classes * row["shots"], row[name])
        for row in document["few_shot"]
        for name in ("prototypes", "logistic")
    ]
    columns = {
        "judge": [name for name, _, _ in rows],
        "labels": [count for _, count, _ in rows],
    }
    columns |= {
        end: [score[end] for _, _, score in rows] for end in ("value", "low", "high")
    }
    title = (
        f"{document['n']} images, {document['features']} features; share of the most "
        f"frequent class {document['majority']:.4f}"
    )
    return Table(columns, title=title)


def _counts(shots: Sequence[int] | str) -> tuple[int, ...]:
    """Return numbers of labels that were given as a list or as text."""
    parts: Sequence[int | str] = shots
    if isinstance(shots, str):
        parts = shots.split(",")
    try:
        numbers = tuple(int(part) for part in parts)
    except ValueError:
        numbers = ()
    if not numbers:
        raise ConfigError(
            f"shots are numbers of labelled images, such as {_SHOTS}, got {shots!r}",
            code="option-format",
            option="shots",
            value=shots,
        )
    return tuple(_positive("shots", number) for number in numbers)


def _positive(option: str, number: int) -> int:
    if number < 1:
        raise ConfigError(
            f"{option} must be at least 1, got {number}",
            code="option-range",
            option=option,
            value=number,
        )
    return number
