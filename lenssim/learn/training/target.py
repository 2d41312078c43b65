"""The images that a training is adapted to, of which nobody knows the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenssim.data.format.bands import shape_words
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.paired import FollowingSampler
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.errors import DataError
from lenssim.learn.config import TrainConfig
from lenssim.learn.inputs.description import describe
from lenssim.learn.inputs.image_files import check_bands, check_scale
from lenssim.learn.methods import Method, target_of
from lenssim.learn.tasks import Task
from lenssim.notes import note

if TYPE_CHECKING:
    from lenssim.learn.tasks.task import Data

__all__ = ["Target", "following", "open_target"]

_SEED_STEP = 1  # equal data sets in both places give different batches


@dataclass(frozen=True)
class Target:
    """The data set that a network is adapted to.

    Args:
        dataset: The data set.
        rows: Its rows of `train` and `validation`.
        has_truth: Whether its labels or parameters are known as those of the source.
    """

    dataset: ShardDataset
    rows: dict[str, np.ndarray]
    has_truth: bool = False


def open_target(
    config: TrainConfig, method: Method, task: Task, source: Data
) -> Target | None:
    """Open the target of a training; None for a training without one.

    Args:
        config: Settings of the training.
        method: Its method.
        task: Its task, fitted to the source.
        source: The images that it learns from.

    Raises:
        DataError: The images are too few, or unlike those of the source in shape, bands or
            pixel scale, or a method that reads labels cannot read these.
    """
    location = target_of(config)
    if location is None:
        return None
    dataset = ShardDataset(location, picture=config.picture)
    _check_images(dataset, source)
    rows = {split: dataset.rows(split) for split in ("train", "validation")}
    has_truth = _has_truth(dataset, source, task, method.reads_target_truth)
    if has_truth:
        dataset.columns = task.columns
        rows = {split: task.usable(dataset, numbers) for split, numbers in rows.items()}
    rows = {split: method.target_rows(numbers) for split, numbers in rows.items()}
    _check_number(dataset, rows, config.batch_size)
    if dataset.fingerprint == source.fingerprint:
        note(
            f"{dataset.folder}: source and target hold the same images: nothing to adapt to"
        )
    if has_truth:
        _note_absent_classes(dataset, rows["train"])
    return Target(dataset, rows, has_truth)


def _has_truth(dataset: ShardDataset, source: Data, task: Task, needs_truth: bool) -> bool:
    """Tell whether the target's truth is known, and means what that of the source means.

    Raises:
        DataError: The truth is needed and cannot be had.
    """
    try:
        task.check(dataset)
    except DataError:
        if needs_truth:
            raise
        return False
    if task.columns:
        return True
    return dataset.labels is not None and dataset.classes == source.classes


def _note_absent_classes(dataset: ShardDataset, rows: np.ndarray) -> None:
    """Say which classes the target lacks; nothing else is made of its labels."""
    if dataset.labels is None:
        return
    counts = np.bincount(dataset.labels[rows], minlength=len(dataset.classes))
    absent = [name for name, n in zip(dataset.classes, counts, strict=True) if not n]
    if absent:
        note(
            f"{dataset.folder}: its training images have no {', '.join(absent)}; an alignment "
            "with all classes of the source then moves the others too"
        )


def _check_images(dataset: ShardDataset, source: Data) -> None:
    """Raise `DataError` if a network of the source cannot take the images."""
    images = describe(source)
    check_bands(dataset.bands, dataset.folder, images)
    check_scale(dataset.pixel_scale, dataset.folder, images)
    if dataset.image_shape != images.shape:
        raise DataError(
            f"the target {dataset.folder} has images of "
            f"{shape_words(dataset.image_shape, dataset.bands)}, the source of {images} "
            "(bands x rows x columns); import or simulate the target with those",
            code="image-shape",
            shape=dataset.image_shape,
            folder=dataset.folder,
        )


def _check_number(
    dataset: ShardDataset, rows: dict[str, np.ndarray], batch_size: int
) -> None:
    """Raise `DataError` if there are fewer images than a batch, or none to validate by."""
    count = len(rows["train"])
    if count >= batch_size and len(rows["validation"]):
        return
    raise DataError(
        f"the target {dataset.folder} has {count} training images and "
        f"{len(rows['validation'])} validation images: an adaptation needs a batch of "
        f"{batch_size} of the former and some of the latter; lower --batch-size, or give at "
        "least 192 images",
        code="target-too-few",
        folder=dataset.folder,
        train=count,
        batch_size=batch_size,
    )


def following(
    target: Target, leader: BatchSampler, config: TrainConfig
) -> FollowingSampler:
    """Return the order of the target's images beside that of the source's."""
    return FollowingSampler(
        leader,
        target.rows["train"],
        config.batch_size,
        seed=config.seed + _SEED_STEP,
        fingerprint=target.dataset.fingerprint,
        **target.dataset.order,
    )
