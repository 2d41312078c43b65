"""Posteriors of the images of populations, and which images belong together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lenssim.errors import DataError
from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.inputs.image_files import read_file_images
from lenssim.learn.inputs.listing import image_files, is_dataset
from lenssim.learn.inputs.problems import Report, raise_problem
from lenssim.learn.population.reader import reader_of
from lenssim.learn.runs.overlap import held_out
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.posterior import Posterior
from lenssim.notes import note

__all__ = ["group_rows", "image_posteriors"]


def image_posteriors(
    run: Run, files: Sequence[Path], device: str, report: Report = raise_problem
) -> tuple[Posterior, np.ndarray | None]:
    """Compute the posteriors of all images.

    Args:
        run: A run that measures parameters.
        files: Files of images, or a data set, of which the held-out images count.
        device: Where to compute.
        report: Called with each file or image that cannot be used. By default its error is raised.

    Returns:
        Posteriors of N images, and the truth (N, T) of a data set that knows it.

    Raises:
        DataError: No image can be used.
    """
    ensemble = Ensemble([run], pick_device(device))
    if len(files) == 1 and is_dataset(files[0]):
        return _dataset_posterior(run, ensemble, files[0])
    images = run.record.images
    picture = run.record.config.picture
    tasks = []
    outputs = []
    for path in image_files(files, report):
        for chunk in read_file_images(path, images, picture, note=note, report=report):
            task, chunk_outputs = ensemble(chunk.images)
            tasks.append(task)
            outputs.append(chunk_outputs)
    if not tasks:
        raise DataError(
            f"none of the {len(files)} files can be used: there is no population to infer",
            code="no-images",
        )
    return reader_of(tasks[0]).posterior(torch.cat(outputs, dim=1)), None


def _dataset_posterior(
    run: Run, ensemble: Ensemble, path: Path
) -> tuple[Posterior, np.ndarray | None]:
    """Return the posteriors of the held-out images of a data set, and their truth if known."""
    dataset = run.opened(path)
    rows, reason = held_out(run, dataset)
    if not len(rows):
        raise DataError(
            f"{path}: no samples are held out ({reason}); take a data set of another --seed",
            code="split-empty",
            path=path,
        )
    task, outputs = ensemble.of(dataset, rows)
    posterior = reader_of(task).posterior(outputs)
    if set(task.columns) <= set(dataset.params):
        return posterior, dataset.targets(task.columns, rows)
    return posterior, None


def group_rows(truth: np.ndarray | None, count: int, scatter: bool) -> list[np.ndarray]:
    """Group images into populations.

    Args:
        truth: True parameters (N, T), None if unknown.
        count: Number N of images.
        scatter: Whether lenses differ, and all of them are one population.

    Returns:
        The rows of each population: of images with the same true parameters, or of all images.

    Raises:
        DataError: No two images share their true parameters.

    Example:
        >>> group_rows(np.array([[1.0], [2.0], [1.0]]), 3, scatter=False)
        [array([0, 2]), array([1])]
    """
    if truth is None or scatter:
        return [np.arange(count)]
    _, starts, inverse = np.unique(truth, axis=0, return_index=True, return_inverse=True)
    if len(starts) == count > 1:
        raise DataError(
            "no two of these images share their true numbers, so they are no population: make "
            "one by lenssim generate --shared, or ask for the mean and width of all by --scatter",
            code="no-population",
        )
    return [np.flatnonzero(inverse.ravel() == k) for k in np.argsort(starts)]
