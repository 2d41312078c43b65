"""metrics.csv: one line for each epoch of a training."""

import csv
import io
import operator
from pathlib import Path

from lenssim.errors import DataError

__all__ = ["COLUMNS", "epochs_csv", "read_epochs"]

COLUMNS = ("epoch", "train_loss", "val_loss", "learning_rate", "seconds", "waiting")


def epochs_csv(rows: list[dict[str, float]]) -> bytes:
    """Return the table as the bytes of metrics.csv: `COLUMNS`, and `val_` scores of the task; epochs count from 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = (
        [*COLUMNS, *(name for name in rows[0] if name not in COLUMNS)] if rows else COLUMNS
    )
    writer.writerow(names)
    writer.writerows([f"{row[name]:.6g}" for name in names] for row in rows)
    return text.getvalue().encode()


def read_epochs(path: Path) -> list[dict[str, float]]:
    """The rows of a table, none if there is no file yet; `DataError` if it is something else."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                {name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)
            ]
        if rows:
            operator.itemgetter(*COLUMNS)(rows[0])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} is no table of epochs as lenssim train writes it ({error!r})",
            code="document-invalid",
            path=path,
        ) from None
    return rows
