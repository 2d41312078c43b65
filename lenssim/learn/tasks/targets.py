"""Targets of a regression: their true values in a data set, and their priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.data.streaming.labels import labels_of
from lenssim.errors import DataError, LenssimError, unknown

if TYPE_CHECKING:
    from lenssim.learn.scores.regression import RegressionScores
    from lenssim.learn.tasks.task import Data
    from lenssim.simulate.distributions import Value

__all__ = [
    "as_tuples",
    "check_finite",
    "check_split",
    "check_spread",
    "priors_of",
    "rows_of_class",
    "true_values",
    "uncalibrated_scores",
]


def true_values(dataset: Data, names: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
    """Return true parameters (N, T) of the rows."""
    try:
        return dataset.targets(names, rows)
    except KeyError as error:
        raise unknown(
            f"target in {dataset.folder}",
            str(error.args[0]),
            error.args[1],
            code="unknown-target",
        ) from None


def rows_of_class(dataset: Data, rows: np.ndarray, name: str | None) -> np.ndarray:
    """Return the rows whose sample is of a class; all rows if it is None."""
    if name is None:
        return rows
    return rows[labels_of(dataset)[rows] == dataset.classes.index(name)]


def priors_of(
    dataset: Data, targets: Sequence[str], class_name: str | None
) -> dict[str, Value]:
    """Return the distributions that targets were drawn from, by name, where known.

    Nothing is known of imported data, and of a preset whose galaxies cannot be read.
    """
    from lenssim.simulate.draw import laws

    try:
        spec = dataset.spec
        if spec is None:
            return {}
        distributions = laws(spec.preset, class_name)
    except LenssimError:
        return {}
    return {name: distributions[name] for name in targets if name in distributions}


def check_finite(values: np.ndarray, names: Sequence[str], where: str, hint: str) -> None:
    """Raise `DataError` naming the first target of values (N, T) that some samples lack."""
    for name, column in zip(names, values.T, strict=True):
        missing = int((~np.isfinite(column)).sum())
        if missing:
            raise DataError(
                f"{where}: {missing} of {len(column)} samples have no {name}{hint}",
                code="no-targets",
                where=where,
                missing=missing,
            )


def check_spread(dataset: Data, names: Sequence[str], values: np.ndarray) -> None:
    """Raise `DataError` if a target has the same value in all samples (N, T)."""
    constant = [
        name for name, column in zip(names, values.T, strict=True) if not np.ptp(column)
    ]
    if constant:
        raise DataError(
            f"{dataset.folder}: {', '.join(constant)} is the same in all samples: "
            "nothing to learn",
            code="target-constant",
            folder=dataset.folder,
        )


def check_split(
    dataset: Data,
    split: str,
    rows: np.ndarray,
    targets: tuple[str, ...],
    class_name: str | None,
) -> None:
    """Raise `DataError` if a split has no sample, or some without a target."""
    usable = rows_of_class(dataset, rows, class_name)
    values = true_values(dataset, targets, usable)
    if not len(usable):
        of_class = f" of the class {class_name}" if class_name is not None else ""
        raise DataError(
            f"{dataset.folder}: the {split} split has no sample{of_class}; splits are cut "
            "in blocks of 64 samples, so make at least 256",
            code="split-empty",
            folder=dataset.folder,
            split=split,
        )
    hint = ""
    if class_name is None:
        hint = f"; --only takes one of {', '.join(dataset.classes)}"
    check_finite(values, targets, f"{dataset.folder}, {split} split", hint)


def uncalibrated_scores(measured: RegressionScores) -> dict[str, float]:
    """Return coverage and chi squared (per target) without the calibration."""
    from lenssim.learn.scores.posterior import LEVELS
    from lenssim.learn.scores.regression import RegressionScores

    uncalibrated = RegressionScores(
        measured.names,
        measured.posterior.uncalibrated,
        measured.truth,
        measured.baseline,
        measured.seed,
    )
    return {
        "within_1": float((uncalibrated.central_probability <= LEVELS[1]).mean()),
        "joint_1": float((uncalibrated.joint_probability <= LEVELS[1]).mean()),
        "chi2": float(uncalibrated.distance.mean() / len(measured.names)),
    }


def as_tuples(values: np.ndarray) -> tuple[Any, ...]:
    """Return an array as nested tuples, as a frozen record takes it."""
    if values.ndim == 1:
        return tuple(values.tolist())
    return tuple(as_tuples(row) for row in values)
