"""Prediction: a run's answer for images from files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lenssim.learn.inputs import Pictures, read_pictures
from lenssim.learn.model import answers, pick_device
from lenssim.learn.run import Run

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True)
class Prediction:
    """The most probable class of image `image` of `file`, and the probabilities of all, in the run's order."""

    file: str
    image: int
    predicted: str
    probabilities: dict[str, float]


def predict(run: Run, files: Iterable[Path], *, device: str = "auto") -> Iterator[Prediction]:
    """The run's best weights on every image of the files; `DataError` names a file that cannot be used."""
    model, place, classes = run.model(), pick_device(device), run.record.classes
    for path in files:
        for pictures in read_pictures(path, run.record.image_shape):
            probabilities = run.task().answer(answers(model, iter([pictures.images]), place)).tolist()
            yield from _named(pictures, probabilities, classes)


def _named(pictures: Pictures, rows: list[list[float]], classes: tuple[str, ...]) -> Iterator[Prediction]:
    for number, row in zip(pictures.numbers.tolist(), rows, strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        yield Prediction(pictures.file, number, classes[best], dict(zip(classes, row, strict=True)))
