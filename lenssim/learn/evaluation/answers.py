"""Answers for images that are in memory, wherever they came from."""

from collections.abc import Iterator

from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.evaluation.prediction import Prediction
from lenssim.learn.inputs.image_files import Pictures
from lenssim.learn.scores.novelty import Novelty

__all__ = ["predictions_of"]


def predictions_of(
    pictures: Pictures, ensemble: Ensemble, novelty: Novelty | None
) -> Iterator[Prediction]:
    """Yield the answers for some images.

    Args:
        pictures: The images.
        ensemble: The networks.
        novelty: What the run knows of images like its own; None for nothing.
    """
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
