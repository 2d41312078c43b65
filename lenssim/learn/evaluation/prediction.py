"""Prediction: answers for images from files, and whether these look like the training data."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.inputs.image_files import Pictures, read_pictures
from lenssim.learn.inputs.listing import image_files
from lenssim.learn.inputs.problems import Report, raise_problem
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.novelty import Novelty
from lenssim.notes import note as print_note

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True)
class Prediction:
    """The answer for one image of a file.

    Args:
        file: Path of the file.
        image: Number of the image in the file.
        answer: Answer of the run's task.
        novelty: Share of validation images that look at least as unlike the training data.
            None for a run that keeps nothing to compare with.
        unlike: Whether this share is too small to trust the answer.
    """

    file: str
    image: int
    answer: dict[str, Any]
    novelty: float | None = None
    unlike: bool | None = None

    def document(self) -> dict[str, Any]:
        """Return the prediction, ready for JSON."""
        return {
            "file": self.file,
            "image": self.image,
            **self.answer,
            "unlike_training_data": self.unlike,
            "as_unlike_in_validation": self.novelty,
        }


def predict(
    run: Run,
    files: Iterable[Path | str],
    *,
    others: Sequence[Run] = (),
    tta: bool = False,
    device: str = "auto",
    extension: str | None = None,
    report: Report = raise_problem,
    note: Callable[[str], None] = print_note,
) -> Iterator[Prediction]:
    """Answer for every image of some files with the run's best weights.

    Args:
        run: The run.
        files: Files of images, folders of such files, and data sets.
        others: The answer is the mean of theirs and the run's.
        tta: Each image is shown in all symmetries of the training.
        device: Where the networks are computed.
        extension: Name or number of the image in FITS files that hold several.
        note: Called with how a file was read that could be read in several ways.
        report: Called with each file or image that cannot be used. By default its error is raised.

    Raises:
        DataError: A file of the run is damaged or, by default, a file or image cannot be used.
    """
    ensemble = Ensemble([run, *others], pick_device(device), tta=tta)
    novelty = run.novelty()
    shape = run.record.image_shape
    picture = run.record.config.picture
    for path in image_files(files, report):
        for pictures in read_pictures(
            path, shape, picture, extension=extension, note=note, report=report
        ):
            yield from _predictions(pictures, ensemble, novelty)


def _predictions(
    pictures: Pictures, ensemble: Ensemble, novelty: Novelty | None
) -> Iterator[Prediction]:
    """Yield the answers for some images of one file."""
    task, outputs = ensemble(pictures.images)
    answers = task.answers(outputs)
    numbers = pictures.numbers.tolist()
    if novelty is None:
        for number, answer in zip(numbers, answers, strict=True):
            yield Prediction(pictures.file, number, answer)
        return
    p_values = novelty.p_values(pictures.images).tolist()
    for number, answer, p_value in zip(numbers, answers, p_values, strict=True):
        unlike = p_value <= novelty.threshold
        yield Prediction(pictures.file, number, answer, p_value, unlike)
