"""What an evaluation of a task gives: numbers, and a table by sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["TaskScores"]


@dataclass(frozen=True)
class TaskScores:
    """The scores of one evaluation.

    Args:
        metrics: Scores with their intervals, as metrics.json keeps them.
        facts: Further entries of metrics.json.
        table: Columns (N,) of predictions.csv, by name.
        evidence: What figures need beside the table, for the presentation of the task.
    """

    metrics: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    table: Mapping[str, np.ndarray] = field(default_factory=dict)
    evidence: Any = None
