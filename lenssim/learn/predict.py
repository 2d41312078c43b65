"""Prediction: a run's answer for images from files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim.learn.inputs import read_pictures
from lenssim.learn.model import image_outputs, pick_device
from lenssim.learn.run import Run

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True)
class Prediction:
    """What the run's task says of image `image` of `file`."""

    file: str
    image: int
    answer: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"file": self.file, "image": self.image, **self.answer}


def predict(run: Run, files: Iterable[Path], *, device: str = "auto") -> Iterator[Prediction]:
    """The run's best weights on every image of the files; `DataError` names a file that cannot be used."""
    model, place, task = run.model(), pick_device(device), run.record.task
    for path in files:
        for pictures in read_pictures(path, run.record.image_shape):
            answers = task.answers(image_outputs(model, pictures.images, place))
            for number, answer in zip(pictures.numbers.tolist(), answers, strict=True):
                yield Prediction(pictures.file, number, answer)
