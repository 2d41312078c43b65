"""Controls: what a network says of images that lack what it should look for."""

from typing import Any

import numpy as np

from lenssim.data.format.maps import IMAGE
from lenssim.data.format.spec import maps_of
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.tasks import Task

__all__ = ["control_scores"]


def control_scores(
    ensemble: Ensemble,
    task: Task,
    dataset: ShardDataset,
    rows: np.ndarray,
    **options: int,
) -> dict[str, Any]:
    """Return the scores of the task's controls, by the name of the map that is shown.

    Args:
        ensemble: The networks.
        task: Their joint task.
        dataset: The data set. Controls are shown if it keeps their maps on the same pixels.
        rows: Rows (N,) of the data set.
        **options: `resamples` and `seed` of the intervals.
    """
    kept = maps_of(dataset.config)
    is_plain = dataset.picture == IMAGE and not getattr(dataset, "remark", "")
    return {
        name: task.judge_control(
            ensemble.of(dataset, rows, name)[1], dataset, rows, **options
        )
        for name in task.controls
        if is_plain and name in kept
    }
