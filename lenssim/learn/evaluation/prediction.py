"""Prediction: the answer of one or more runs for images from files, and whether they look like the training data."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.inputs.image_files import FileImages, read_file_images
from lenssim.learn.inputs.listing import image_files
from lenssim.learn.inputs.problems import Report, raise_problem
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.novelty import Novelty, most_unlike

__all__ = ["Prediction", "novelties_of", "predict", "predictions_of"]


@dataclass(frozen=True)
class Prediction:
    """What the run's task says of image `image` of `file`.

    `novelty` is the share of validation images that look at least as unlike the training data; `unlike` whether that
    is too few to trust the answer. Of several runs, the one counts to which the image looks most unlike. Both are None
    for runs that kept nothing to compare with. `name` is that of the lens, or "".
    """

    file: str
    image: int
    answer: dict[str, Any]
    novelty: float | None = None
    unlike: bool | None = None
    name: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        place: dict[str, Any] = {"file": self.file, "image": self.image}
        if self.name:
            place["name"] = self.name
        look = {
            "unlike_training_data": self.unlike,
            "as_unlike_in_validation": self.novelty,
        }
        return {**place, **self.answer, **look}


def predict(
    run: Run,
    files: Iterable[Path | str],
    *,
    others: Sequence[Run] = (),
    tta: bool = False,
    prevalence: float | None = None,
    device: str = "auto",
    extension: str | None = None,
    note: Callable[[str], None] = lambda message: None,
    report: Report = raise_problem,
) -> Iterator[Prediction]:
    """Answer for every image of some files with the run's best weights.

    Args:
        run: The run.
        files: Files of images, folders of such files, and data sets.
        others: The answer is the mean of theirs and the run's.
        tta: Each image is shown in all symmetries of the training.
        prevalence: Share of the found class for which a finder's probabilities are.
        device: Where the networks are computed.
        extension: Name or number of the FITS extension, or name of the array in a .npz archive, that is meant.
        note: Called with a remark on a file that could be read in several ways.
        report: Called with each file or image that cannot be used. By default its error is raised.

    Raises:
        DataError: A file of the run is damaged or, by default, a file or image cannot be used.
    """
    ensemble = Ensemble([run, *others], pick_device(device), tta=tta, prevalence=prevalence)
    novelties = novelties_of([run, *others])
    for path in image_files(files, report):
        images, picture = run.record.images, run.record.config.picture
        for pictures in read_file_images(
            path, images, picture, extension=extension, note=note, report=report
        ):
            yield from predictions_of(pictures, ensemble, novelties)


def novelties_of(runs: Sequence[Run]) -> list[Novelty]:
    """Return what runs know of images like their own; a run may know nothing.

    Raises:
        DataError: A file of a run is damaged.
    """
    return [novelty for run in runs if (novelty := run.novelty()) is not None]


def predictions_of(
    pictures: FileImages, ensemble: Ensemble, novelties: Sequence[Novelty]
) -> Iterator[Prediction]:
    """Yield the answers for some images.

    Args:
        pictures: The images.
        ensemble: The networks.
        novelties: What each run knows of images like its own; none if no run does.
    """
    task, outputs = ensemble(pictures.images)
    answers = task.answers(outputs)
    numbers = pictures.numbers.tolist()
    names = [pictures.names.get(number, "") for number in numbers]
    if not novelties:
        for number, answer, name in zip(numbers, answers, names, strict=True):
            yield Prediction(pictures.file, number, answer, name=name)
        return
    p_values, unlike = most_unlike(novelties, pictures.images)
    looks = zip(p_values.tolist(), unlike.tolist(), strict=True)
    for number, answer, look, name in zip(numbers, answers, looks, names, strict=True):
        yield Prediction(pictures.file, number, answer, *look, name=name)
