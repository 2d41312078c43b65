"""Prediction: the answer of one or more runs for images from files, and whether they look like the training data."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.inputs.image_files import read_pictures
from lenssim.learn.inputs.listing import image_files
from lenssim.learn.inputs.problems import Report, raise_problem
from lenssim.learn.runs.run import Run
from lenssim.notes import note as print_note

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True)
class Prediction:
    """What the run's task says of image `image` of `file`.

    `novelty` is the share of validation images that look at least as unlike the training data; `unlike` whether that
    is too few to trust the answer. Both are None for a run that kept nothing to compare with.
    """

    file: str
    image: int
    answer: dict[str, Any]
    novelty: float | None = None
    unlike: bool | None = None

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        look = {
            "unlike_training_data": self.unlike,
            "as_unlike_in_validation": self.novelty,
        }
        return {"file": self.file, "image": self.image, **self.answer, **look}


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
    ensemble, novelty = (
        Ensemble([run, *others], pick_device(device), tta=tta),
        run.novelty(),
    )
    for path in image_files(files, report):
        shape, shown = run.record.image_shape, run.record.config.picture
        for pictures in read_pictures(
            path, shape, shown, extension=extension, note=note, report=report
        ):
            task, outputs = ensemble(pictures.images)
            p = (
                novelty.p_values(pictures.images).tolist()
                if novelty
                else [None] * len(pictures.images)
            )
            for number, answer, own in zip(
                pictures.numbers.tolist(), task.answers(outputs), p, strict=True
            ):
                unlike = own <= novelty.threshold if novelty else None
                yield Prediction(pictures.file, number, answer, own, unlike)
