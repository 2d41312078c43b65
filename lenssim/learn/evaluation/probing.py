"""Probing: what the features of a run tell of classes that it may never have been told."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenssim.data.format.files import write_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.labels import labels_of
from lenssim.learn.compute.device import pick_device
from lenssim.learn.figures.embedding import embedding_figure, few_shot_figure
from lenssim.learn.figures.style import save_if_possible
from lenssim.learn.inputs.image_files import check_bands, check_scale, check_shape
from lenssim.learn.nets.features import network_features
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.overlap import held_out
from lenssim.learn.runs.record import identify
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.embedding import (
    SHOTS,
    few_shot_scores,
    projections,
    representation_scores,
)

__all__ = ["probe", "probe_folder"]


def probe_folder(run: Run, dataset: ShardDataset) -> Path:
    """Return the folder of a probe: in that of the run."""
    return run.folder / f"probe-{dataset.fingerprint[:8]}"


def probe(
    run: Run,
    dataset: ShardDataset,
    *,
    shots: Sequence[int] = SHOTS,
    draws: int = 100,
    folder: Path | None = None,
    device: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Judge the features of a run on images that it has not seen.

    Features are what the last linear layer of its network sees.

    Args:
        run: The run, of any task.
        dataset: The data set, with labels.
        shots: Labelled images of each class, for the few-shot scores.
        draws: Number of draws of labelled images.
        folder: Where probe.json and the figures go; None: `probe_folder`.
        device: Where the network is computed.
        seed: Seed of folds and draws.

    Returns:
        The content of probe.json.

    Raises:
        ConfigError: The network has no linear layer, or the images have no labels.
        DataError: The images do not fit the run, or are too few.
    """
    images = run.record.images
    check_bands(dataset.bands, dataset.folder, images)
    check_scale(dataset.pixel_scale, dataset.folder, images)
    rows = held_out(run, dataset).rows
    check_shape(dataset.images(rows[:1]), str(dataset.folder), images)
    labels = labels_of(dataset)[rows]
    features = network_features(run.model(), dataset.images(rows), pick_device(device))
    metrics, facts = representation_scores(features, labels, dataset.classes, seed)
    scores_of_few = few_shot_scores(
        features, labels, dataset.classes, shots=shots, draws=draws, seed=seed
    )
    document = {
        "format": "lenssim-probe/1",
        "run": run.digest,
        "data": identify(dataset).model_dump(mode="json"),
        "n": len(rows),
        "features": features.shape[1],
        "metrics": metrics,
        **facts,
        "draws": draws,
        "few_shot": scores_of_few,
    }
    names = np.array(dataset.classes)[labels]
    title = f"features of {run.record.config.label} on {identify(dataset).title}"
    planes = projections(features, seed)
    figures: dict[str, Callable[[], Figure]] = {
        "embedding.png": partial(embedding_figure, planes, names, title),
        "few_shot.png": partial(few_shot_figure, scores_of_few, title),
    }
    _write(folder or probe_folder(run, dataset), document, figures)
    return document


def _write(
    folder: Path, document: dict[str, Any], figures: dict[str, Callable[[], Figure]]
) -> None:
    make_folder(folder)
    write_json(folder / "probe.json", document)
    for name, draw in figures.items():
        save_if_possible(draw, folder / name)
