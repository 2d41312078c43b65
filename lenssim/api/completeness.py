"""Selection functions from Python: which lenses of a survey a network finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.run import Run, as_run
from lenssim.api.table import Table
from lenssim.errors import ConfigError, unknown
from lenssim.names import printable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["completeness"]

_LENS = "lens"  # class of finders
_RADIUS = "theta_E"
_FOLDER = "completeness"
_SIGMAS = 1.959964  # of the 95 % intervals
_NO_CLASSES = ("file", "image", "name", "predicted", "novelty")  # columns of answers


@checked
def completeness(
    run: Run | Path | str,
    survey: Dataset | Path | str,
    *,
    class_name: str | None = None,
    threshold: float = 0.5,
    within: float = 0.1,
    out: Path | str | None = None,
    device: str = "auto",
) -> Table:
    """Say which lenses of a survey a network finds: its selection function.

    A run of classes finds a lens whose probability reaches the threshold. A run that measures
    theta_E finds a lens whose answer is within a share of the truth.

    Args:
        run: The run, or its folder.
        survey: A survey's data set, that `survey` made, or its folder.
        class_name: The class that stands for a lens; None: lens.
        threshold: Smallest probability of a lens that is found.
        within: Largest error of theta_E, as a share of the truth.
        out: Folder of completeness.json and completeness.png; None: completeness/ in the run's
            folder.
        device: auto, cpu, cuda or mps.

    Returns:
        A row for each bin of Einstein radius, signal to noise, redshifts and source magnitude:
        the number of lenses, the share that is found, and its 95 % interval.

    Raises:
        ConfigError: The run neither has such a class nor measures theta_E, or a number is out of
            range.
        DataError: The data set has no catalogue of a survey, or does not fit the run.

    Example:
        >>> lenses = completeness("runs/cnn", "data/III", class_name="axion")
        >>> list(lenses)
        ['property', 'from', 'to', 'lenses', 'found', 'share', 'low', 'high']
    """
    from lenssim.sky.surveys.tally import NETWORK_BINS, Tally

    for name, value in (("threshold", threshold), ("within", within)):
        if not 0 < value < 1:
            raise ConfigError(
                f"{name} must lie between 0 and 1, got {value:g}",
                code="option-range",
                option=name,
                value=value,
            )
    model = as_run(run)
    data = survey if isinstance(survey, Dataset) else Dataset(survey)
    params = data.params
    bins = {name: edges for name, edges in NETWORK_BINS.items() if name in params}
    answers = model.predict(data, device=device)
    accepted = _found(answers, params, class_name, threshold, within)
    tally = Tally(bins)
    tally.add(params, accepted)
    folder = model.folder / _FOLDER if out is None else Path(out)
    _write(folder, tally.document())
    table = _table(tally.document())
    table.title = f"{tally.found} of {tally.ideal} lenses are found"
    return table


def _found(
    answers: Table,
    params: Table,
    class_name: str | None,
    threshold: float,
    within: float,
) -> np.ndarray:
    """Return which lenses (N,) the answers find."""
    import numpy as np

    if class_name is None and _RADIUS in answers:
        truth = params[_RADIUS]
        return np.abs(answers[_RADIUS] - truth) <= within * truth
    name = class_name or _LENS
    if name not in answers or name in _NO_CLASSES:
        raise unknown(
            "class or target of the run", printable(name), answers, code="unknown-class"
        )
    return answers[name] >= threshold


def _write(folder: Path, document: dict[str, Any]) -> None:
    from lenssim.data.format.files import make_folder, write
    from lenssim.drawing import png_bytes
    from lenssim.sky.surveys.figures import completeness_figure

    make_folder(folder)
    write(folder / "completeness.json", json.dumps(document, indent=1).encode())
    figure = completeness_figure(document["by"], "share of the lenses that is found")
    write(folder / "completeness.png", png_bytes(figure))


def _table(document: dict[str, Any]) -> Table:
    """Return the rows of the bins that have lenses."""
    import numpy as np

    from lenssim.intervals import wilson

    names = ("property", "from", "to", "lenses", "found", "share", "low", "high")
    rows: list[tuple[Any, ...]] = []
    for name, counts in document["by"].items():
        total = np.array(counts["ideal"])
        accepted = np.array(counts["found"])
        shares = accepted / np.maximum(total, 1)
        low, high = wilson(shares, np.maximum(total, 1), _SIGMAS)
        for k in np.flatnonzero(total):
            edges = counts["edges"][k : k + 2]
            numbers = (int(total[k]), int(accepted[k]), float(shares[k]))
            rows.append((name, *edges, *numbers, float(low[k]), float(high[k])))
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return Table(dict(zip(names, map(list, columns), strict=True)))
