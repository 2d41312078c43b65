"""The foot of a report: settings, versions and fingerprints, so that it can be repeated and cited."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version

import yaml

import lenssim
from lenssim.learn.report.evaluated import EvaluatedRun
from lenssim.learn.runs.run import Run

__all__ = ["page_foot"]

_LIBRARIES = ("torch", "numpy", "lenstronomy")


def page_foot(evaluations: Sequence[EvaluatedRun]) -> str:
    """Return the foot of a page as HTML: the settings of its runs, and what made them."""
    runs = {evaluation.run.folder.name: evaluation.run for evaluation in evaluations}
    settings = "".join(
        f"<h4>{escape(name)}</h4><pre>{escape(_settings(run))}</pre>"
        for name, run in runs.items()
    )
    versions = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return (
        f"<details><summary>Settings of the trainings</summary>{settings}</details>"
        f"<p>Written on {day} by lenssim {lenssim.__version__} with {escape(versions)}. "
        "The fingerprints of the data stand in the table of data.</p>"
    )


def _settings(run: Run) -> str:
    """Return the settings of a training that are not the defaults, as a recipe writes them."""
    settings = run.record.config.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(settings, sort_keys=False)
