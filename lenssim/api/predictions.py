"""Answers for images, as a table that a notebook shows."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lenssim.api.table import Table

if TYPE_CHECKING:
    from lenssim.learn.evaluation.prediction import Prediction

__all__ = ["Answers"]


class Answers(Table):
    """A row an image: what the run says of it, and `novelty`; `name` where lenses have names.

    Args:
        predictions: The answers.

    Attributes:
        predictions: Each answer as the run gave it, with its file and number.
    """

    def __init__(self, predictions: "Iterable[Prediction]") -> None:
        self.predictions = list(predictions)
        rows = [_row(prediction) for prediction in self.predictions]
        names: list[str] = []
        if rows:
            names = [name for name, cell in rows[0].items() if cell is not None]
        super().__init__({name: [row[name] for row in rows] for name in names})


def _row(prediction: "Prediction") -> dict[str, Any]:
    """Return a prediction as a row of a table."""
    place: dict[str, Any] = {
        "file": prediction.file,
        "image": prediction.image,
        "name": prediction.name or None,
    }
    return {**place, **_cells(prediction.answer), "novelty": prediction.novelty}


def _cells(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer as cells: what is said by class or target gets a column each."""
    cells: dict[str, Any] = {}
    for name, value in answer.items():
        if name in ("probabilities", "targets"):
            cells.update(value)
        elif isinstance(value, Mapping):
            cells.update({f"{name} of {key}": number for key, number in value.items()})
        elif not isinstance(value, list):
            cells[name] = value
    return cells
