"""metrics.csv: one line for each epoch of a training."""

import csv
import io
from pathlib import Path

from lenssim.data.files import write
from lenssim.errors import DataError

__all__ = ["COLUMNS", "read_epochs", "write_epochs"]

COLUMNS = ("epoch", "train_loss", "val_loss", "val_accuracy", "val_auc", "learning_rate", "seconds")


def write_epochs(path: Path, rows: list[dict[str, float]]) -> None:
    """Write the table, whole or not at all; epochs count from 1, losses are in nats."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([f"{row[name]:.6g}" for name in COLUMNS] for row in rows)
    write(path, text.getvalue().encode())


def read_epochs(path: Path) -> list[dict[str, float]]:
    """The rows of a table, none if there is no file yet; `DataError` if it is something else."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no table of epochs as lenssim train writes it ({error!r})") from None
