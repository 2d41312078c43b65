"""The table of models: models.csv, and the covariances beside it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import write
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.opening import open_recorded
from lenssim.data.streaming.readers import read_column

__all__ = [
    "TABLE",
    "model_table",
    "model_texts",
    "text_of",
    "write_covariances",
    "write_table",
]

TABLE = "models.csv"
COVARIANCES = "covariances.json"
_TRUTH = "true_theta_E"


def model_texts(models: ShardDataset, name: str) -> list[str]:
    """Return a column of texts of a data set of models: name, flags, problem or covariance.

    Args:
        models: The data set.
        name: The name of the column.
    """
    texts: list[str] = []
    for shard in range(len(models.info.sizes)):
        path = models.location.path(shard)
        record = models.location.record(shard)
        with open_recorded(path, record, models.config_hash) as file:
            column = read_column(file, f"texts/{name}", path, record)
        texts += [text.decode("utf-8", "replace") for text in column.tolist()]
    return texts


def model_table(models: ShardDataset, names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Return the columns of the table of models, by name.

    Args:
        models: The data set of models.
        names: Names of its columns of numbers, in their order.
    """
    table: dict[str, list[Any]] = {
        "name": model_texts(models, "name"),
        "number": models.index.tolist(),
    }
    if models.labels is not None:
        table["class"] = [models.classes[label] for label in models.labels]
    table["flags"] = model_texts(models, "flags")
    for name in names:
        if name in models.params:
            table[name] = models.params[name].tolist()
    if _TRUTH in models.params:
        table[_TRUTH] = models.params[_TRUTH].tolist()
    table["problem"] = model_texts(models, "problem")
    return table


def write_table(folder: Path, table: dict[str, list[Any]]) -> Path:
    """Write models.csv; numbers have 9 digits, and what is not known is empty.

    Args:
        folder: Where to write.
        table: The columns by name.
    """
    path = folder / TABLE
    write(path, text_of(table))
    return path


def text_of(table: dict[str, list[Any]]) -> bytes:
    """Return the bytes of models.csv.

    Args:
        table: The columns by name.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return lines.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}" if np.isfinite(value) else ""
    return str(value)


def write_covariances(folder: Path, models: ShardDataset) -> Path:
    """Write the covariances of all models: names, formal and sandwich, by the lens's number.

    Args:
        folder: Where to write.
        models: The data set of models.
    """
    texts = model_texts(models, "covariance")
    numbers = models.index.tolist()
    document = {
        str(number): json.loads(text) for number, text in zip(numbers, texts, strict=True)
    }
    path = folder / COVARIANCES
    write(path, json.dumps(document).encode())
    return path
