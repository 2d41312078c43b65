"""Prediction: the answer of one or more runs for images from files, and whether they look like the training data."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim.learn.device import pick_device
from lenssim.learn.ensemble import Ensemble
from lenssim.learn.inputs import read_pictures
from lenssim.learn.novelty import read_novelty
from lenssim.learn.run import Run

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
        look = {"unlike_training_data": self.unlike, "as_unlike_in_validation": self.novelty}
        return {"file": self.file, "image": self.image, **self.answer, **look}


def predict(
    run: Run,
    files: Iterable[Path | str],
    *,
    others: Sequence[Run] = (),
    tta: bool = False,
    device: str = "auto",
    extension: str | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> Iterator[Prediction]:
    """The run's best weights on every image of the files; with `others`, the mean of their answers too.

    `tta`: each image in all symmetries of the training. `extension` and `note` as in `read_pictures`.
    `DataError` names a file that cannot be used.
    """
    ensemble, novelty = Ensemble([run, *others], pick_device(device), tta=tta), read_novelty(run.folder)
    for path in files:
        shape, picture = run.record.image_shape, run.record.config.picture
        for pictures in read_pictures(path, shape, picture, extension=extension, note=note):
            task, outputs = ensemble(pictures.images)
            p = novelty.p_values(pictures.images).tolist() if novelty else [None] * len(pictures.images)
            for number, answer, own in zip(pictures.numbers.tolist(), task.answers(outputs), p, strict=True):
                unlike = own <= novelty.threshold if novelty else None
                yield Prediction(pictures.file, number, answer, own, unlike)
