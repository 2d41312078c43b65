"""Answers of several runs, or of one run for an image in every symmetry, taken as passes of one network."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError
from lenssim.learn.inputs.augment import symmetries
from lenssim.learn.nets.model import image_outputs
from lenssim.learn.runs.run import Run
from lenssim.learn.tasks import Task

__all__ = ["Ensemble"]

_CHUNK = 1024  # images in memory at a time


def _question(run: Run) -> str:
    record = run.record
    return f"{record.task.title} from {record.config.picture} {record.image_shape}"


class Ensemble:
    """Runs that ask the same of the same kind of image; one run is an ensemble too.

    With `tta`, every run sees each image in all symmetries that it was trained with. `ConfigError` if the runs ask
    different questions or there is no symmetry to use.
    """

    def __init__(
        self, runs: Sequence[Run], device: torch.device, *, tta: bool = False
    ) -> None:
        first = runs[0].record
        for run in runs[1:]:
            if _question(run) != _question(runs[0]):
                raise ConfigError(
                    f"{run.folder} cannot be taken together with {runs[0].folder}: {_question(run)}, "
                    f"not {_question(runs[0])}"
                )
        if tta and not first.task.invariant:
            raise ConfigError(
                f"the answers of {runs[0].folder} turn with the image: they cannot be averaged over turns"
            )
        self.runs, self.device = tuple(runs), device
        self.models = [run.model() for run in runs]
        self.views = [
            symmetries(run.record.config.augment) if tta else symmetries("none")
            for run in runs
        ]
        if tta and all(len(views) == 1 for views in self.views):
            raise ConfigError(
                f"{runs[0].folder} was trained without flips and turns: there is nothing to average over"
            )

    @property
    def passes(self) -> int:
        """How many answers an image has."""
        return sum(
            model.draws * len(views)
            for model, views in zip(self.models, self.views, strict=True)
        )

    def __call__(self, images: np.ndarray) -> tuple[Task, Tensor]:
        """The task, and its outputs (P, N, K) for images (N, C, H, W)."""
        given = []
        for model, views in zip(self.models, self.views, strict=True):
            seen = (view(torch.as_tensor(images)).numpy() for view in views)
            given.append(
                torch.cat([image_outputs(model, each, self.device) for each in seen])
            )
        return self.runs[0].record.task.joined(
            [run.record.task for run in self.runs[1:]], given
        )

    def of(self, dataset: ShardDataset, rows: np.ndarray) -> tuple[Task, Tensor]:
        """The same for the rows (N,) of a data set."""
        parts = [
            self(dataset.images(rows[start : start + _CHUNK]))
            for start in range(0, len(rows), _CHUNK)
        ]
        return parts[0][0], torch.cat([outputs for _, outputs in parts], dim=1)
