"""An evaluated run of a report, with examples of its data and views of its network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from lenssim.data.format.maps import IMAGE
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.labels import labels_of
from lenssim.learn.evaluation.evaluation import read_table
from lenssim.learn.figures.adaptation import embedding_figure
from lenssim.learn.figures.attribution import (
    attributions_figure,
    examples_figure,
    features_figure,
    first_features,
    integrated_gradients,
)
from lenssim.learn.nets import IMAGE_NETS
from lenssim.learn.report.table import Row
from lenssim.learn.runs.run import Run
from lenssim.simulate.noise import noise_model
from lenssim.simulate.noise.model import FLUX_UNIT
from lenssim.simulate.noise.variance import noise_variance
from lenssim.simulate.spec import SimulationSpec

__all__ = ["EvaluatedRun", "figure_of_examples", "inside", "with_truth"]

_EXAMPLES = 16
_EXPLAINED_IMAGES = 8
_EMBEDDED_IMAGES = 256  # of each domain
NamedDrawing = tuple[str, Callable[[], Figure], str]
"""Name of a figure, function that draws it, and caption."""


@dataclass(frozen=True)
class EvaluatedRun:
    """A row of a report with its run, data set and the folder of the evaluation."""

    row: Row
    run: Run
    dataset: ShardDataset
    folder: Path


def with_truth(
    table: dict[str, np.ndarray], evaluation: EvaluatedRun
) -> dict[str, np.ndarray]:
    """Add true parameters to a table and, where the noise is known, the signal to noise.

    Args:
        table: Columns (N,) of an evaluation's table.
        evaluation: The evaluation.

    Returns:
        The table with more columns (N,).
    """
    dataset = evaluation.dataset
    order = np.argsort(dataset.index)
    rows = order[np.searchsorted(dataset.index[order], table["index"].astype(int))]
    truth = {name: column[rows] for name, column in dataset.params.items()}
    spec = dataset.spec
    if spec is not None and noise_model(spec.noise).unit == FLUX_UNIT:
        images = dataset.read_map(IMAGE, rows).astype(np.float64)
        truth["snr"] = _signal_to_noise(images, spec, truth.get("exposure_time"))
    return {**truth, **table}


def _signal_to_noise(
    images: np.ndarray, spec: SimulationSpec, exposure_time: np.ndarray | None
) -> np.ndarray:
    """Return the signal to noise (N,) of images (N, C, H, W), without what noise alone gives."""
    variance = noise_variance(images, spec.preset.instrument, exposure_time)
    power = (images**2 / variance).sum((1, 2, 3))
    noise_power = 0
    if spec.noise != "none":
        noise_power = images[0].size
    return np.sqrt(np.maximum(power - noise_power, 0))


def _example_rows(evaluation: EvaluatedRun, count: int) -> tuple[np.ndarray, list[str]]:
    """Return rows of evaluated samples, the classes in turn, and the names of their classes."""
    dataset = evaluation.dataset
    index = read_table(evaluation.folder)["index"].astype(int)
    rows = np.flatnonzero(np.isin(dataset.index, index))
    labels = labels_of(dataset)[rows]
    by_class = [rows[labels == label] for label in np.unique(labels)]
    in_turn = []
    for k in range(max(map(len, by_class))):
        in_turn += [members[k] for members in by_class if k < len(members)]
    rows = np.array(in_turn)[:count]
    return rows, [dataset.classes[label] for label in labels_of(dataset)[rows]]


def figure_of_examples(evaluation: EvaluatedRun) -> Figure:
    """Draw examples of the evaluated images with their classes."""
    rows, names = _example_rows(evaluation, _EXAMPLES)
    return examples_figure(evaluation.dataset.images(rows), names, evaluation.row.title)


def inside(evaluation: EvaluatedRun) -> Iterator[NamedDrawing]:
    """Yield figures of the network: its first features, and the pixels behind its largest output.

    Args:
        evaluation: The evaluation of a single run.

    Yields:
        Names of figures, functions that draw them, and captions.
    """
    model = evaluation.run.model()
    rows, names = _example_rows(evaluation, _EXPLAINED_IMAGES)
    images = torch.from_numpy(evaluation.dataset.images(rows))
    features = first_features(model, images[0])
    if features is not None:
        title = f"{evaluation.row.run}: after the first convolution"
        draw = partial(features_figure, images[0].numpy(), features, title)
        caption = f"an image of {names[0]} and its features after the first convolution"
        yield "features", draw, caption
    if model.name in IMAGE_NETS:
        return  # an answer of pixels has no largest number that others speak against
    with torch.inference_mode():
        outputs = model.eval()(images)
    largest = outputs.argmax(dim=1).clone()
    shares = integrated_gradients(model, images, largest).numpy()
    titles = _with_predictions(evaluation, rows, names)
    title = f"{evaluation.row.run}: what speaks for its answer"
    draw = partial(attributions_figure, images.numpy(), shares, titles, title)
    caption = (
        "integrated gradients of the largest output: red pixels speak for it, blue ones "
        "against it; smoothed"
    )
    yield "gradients", draw, caption
    if evaluation.run.record.target is not None:
        draw = partial(_embedding, evaluation)
        yield "embedding", draw, "features of both domains, in their plane of most variance"


def _embedding(evaluation: EvaluatedRun) -> Figure:
    """Draw the features of test images of the source and of the evaluated data set."""
    run = evaluation.run
    features = {}
    labels = {}
    sources = {"source": run.opened(run.record.config.data or "")}
    for name, dataset in {**sources, "target": evaluation.dataset}.items():
        model = run.model("source") if name == "source" else run.model()
        rows = dataset.rows("test")[:_EMBEDDED_IMAGES]
        images = torch.from_numpy(dataset.images(rows)).float()
        with torch.inference_mode():
            features[name] = model.eval().features(images).double().numpy()
        labels[name] = None if dataset.labels is None else dataset.labels[rows]
    classes = evaluation.dataset.classes
    return embedding_figure(features, labels, classes, f"{evaluation.row.run}: features")


def _with_predictions(
    evaluation: EvaluatedRun, rows: np.ndarray, names: list[str]
) -> list[str]:
    """Add the predicted class to the names of samples that are misclassified."""
    table = read_table(evaluation.folder)
    if "predicted" not in table:
        return names
    index = table["index"].astype(int)
    predictions = dict(zip(index, table["predicted"], strict=True))
    numbers = evaluation.dataset.index[rows].tolist()
    return [
        name if predictions[number] == name else f"{name}, said {predictions[number]}"
        for name, number in zip(names, numbers, strict=True)
    ]
