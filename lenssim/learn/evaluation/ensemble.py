"""Ensembles: answers of several runs, or of one run for every symmetry of an image."""

from collections.abc import Callable, Sequence
from functools import partial

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

IMAGES_IN_MEMORY = 1024  # at a time


class Ensemble:
    """Runs with the same task on the same kind of image. One run is an ensemble, too.

    Args:
        runs: The runs.
        device: Where the networks are computed.
        tta: Every run sees each image in all symmetries that it was trained with.
        prevalence: Share of the found class for which a finder's probabilities are; None for that
            of the first run.

    Raises:
        ConfigError: The runs have different tasks, there is no symmetry to use, or no prevalence
            can be stated.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        device: torch.device,
        *,
        tta: bool = False,
        prevalence: float | None = None,
    ) -> None:
        _check_alike(runs)
        self.tasks = [run.record.task for run in runs]
        if prevalence is not None:
            self.tasks[0] = self.tasks[0].at_prevalence(prevalence)
        self.runs = tuple(runs)
        self.device = device
        self.models = [run.model() for run in runs]
        self.views = [symmetries("none") for _ in runs]
        if tta:
            self.views = _symmetry_views(runs)

    @property
    def passes(self) -> int:
        """Number of answers for each image."""
        return sum(
            model.draws * len(views)
            for model, views in zip(self.models, self.views, strict=True)
        )

    def __call__(self, images: np.ndarray) -> tuple[Task, Tensor]:
        """Return the joint task, and its outputs (P, N, K) for images (N, C, H, W)."""
        batch = torch.as_tensor(images)
        outputs = []
        for model, views in zip(self.models, self.views, strict=True):
            passes = [
                image_outputs(model, view(batch).numpy(), self.device) for view in views
            ]
            outputs.append(torch.cat(passes))
        first_task, *other_tasks = self.tasks
        return first_task.joined(other_tasks, outputs)

    def of(
        self, dataset: ShardDataset, rows: np.ndarray, picture: str | None = None
    ) -> tuple[Task, Tensor]:
        """Return the joint task, and its outputs (P, N, K) for rows (N,) of a data set.

        `picture` names a map that is shown in place of the images.
        """
        read = dataset.images if picture is None else partial(dataset.read_map, picture)
        starts = range(0, len(rows), IMAGES_IN_MEMORY)
        parts = [self(read(rows[start : start + IMAGES_IN_MEMORY])) for start in starts]
        return parts[0][0], torch.cat([outputs for _, outputs in parts], dim=1)


def _task_title(run: Run) -> str:
    """Return the task of a run and its kind of image, in words."""
    record = run.record
    return f"{record.task.title} from {record.config.picture} {record.images}"


def _check_alike(runs: Sequence[Run]) -> None:
    """Raise `ConfigError` if runs have different tasks or images."""
    expected = _task_title(runs[0])
    for run in runs[1:]:
        title = _task_title(run)
        if title != expected:
            raise ConfigError(
                f"{run.folder} cannot be taken together with {runs[0].folder}: {title}, "
                f"not {expected}",
                code="runs-differ",
                folder=run.folder,
                expected=expected,
            )


def _symmetry_views(runs: Sequence[Run]) -> list[list[Callable[[Tensor], Tensor]]]:
    """Return the symmetries that each run was trained with."""
    folder = runs[0].folder
    if not runs[0].record.task.invariant:
        raise ConfigError(
            f"the answers of {folder} turn with the image: "
            "they cannot be averaged over turns",
            code="no-turns",
            folder=folder,
        )
    views = [symmetries(run.record.config.augment) for run in runs]
    if all(len(symmetry_views) == 1 for symmetry_views in views):
        raise ConfigError(
            f"{folder} was trained without flips and turns: there is nothing to average over",
            code="no-turns",
            folder=folder,
        )
    return views
