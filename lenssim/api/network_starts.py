"""Starts from a network: its posterior adds candidates to those of a search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.simulate.fit.scan import Candidate
    from lenssim.sky.models.starts import Starts

__all__ = ["starts_of"]

_SIGMAS = (0.0, -1.0, 1.0, -2.0, 2.0)  # of theta_E from the mean
_SMALLEST = 0.1  # arcsec: a Gaussian posterior may reach below
_ROUNDEST = 0.6  # largest length of e1 and e2
_MASS = ("theta_E", "e1", "e2", "gamma1", "gamma2")


def starts_of(run: Path | None, dataset: ShardDataset) -> Starts:
    """Return five points of a network's posterior for each lens.

    They have theta_E at its mean and 1 and 2 sigma from it, and the other parameters as their
    covariance with theta_E says. Images that the network cannot take have no such start.

    Args:
        run: The folder of a run of regress; None: there are no starts.
        dataset: The lenses.

    Raises:
        ConfigError: The run does not infer theta_E.
        DataError: The run cannot be read.
    """
    from lenssim.api.dataset import Dataset
    from lenssim.api.run import Run
    from lenssim.sky.models.starts import NO_STARTS, Starts

    if run is None:
        return NO_STARTS
    network = Run(run)
    targets: tuple[str, ...] = getattr(network.record.task, "columns", ())
    if "theta_E" not in targets:
        raise ConfigError(
            f"{run} infers {', '.join(targets) or 'classes'}; a start needs theta_E",
            code="no-radius",
            run=run,
        )
    answers = network.predict(Dataset(dataset.folder), report=_passed_over)
    by_lens = {
        dataset.names.get(prediction.image, str(prediction.image)): _candidates(
            targets, prediction.answer
        )
        for prediction in answers.predictions
    }
    return Starts(by_lens, {"start_sha256": network.trained.digest})


def _passed_over(*problem: Any) -> None:
    """Go on without an image that a network cannot take."""


def _candidates(
    targets: tuple[str, ...], answer: Mapping[str, Any]
) -> tuple[Candidate, ...]:
    """Return points of a posterior as starts."""
    from lenssim.simulate.fit.scan import Candidate

    mean = np.array([answer["targets"][name] for name in targets], float)
    covariance = np.array(answer["covariance"], float)
    row = targets.index("theta_E")
    direction = covariance[row] / np.sqrt(covariance[row, row])
    starts = []
    for sigmas in _SIGMAS:
        point = dict(zip(targets, mean + sigmas * direction, strict=True))
        values = {name: float(point[name]) for name in _MASS if name in point}
        length = float(np.hypot(values.get("e1", 0.0), values.get("e2", 0.0)))
        shrink = min(1.0, _ROUNDEST / max(length, _ROUNDEST))
        for name in ("e1", "e2"):
            values[name] = values.get(name, 0.0) * shrink
        values["theta_E"] = max(values["theta_E"], _SMALLEST)
        starts.append(Candidate(source_x=0.0, source_y=0.0, **values))
    return tuple(starts)
