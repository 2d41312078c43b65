"""Guesses: further starts of fits, from a table."""

import csv
import math
from pathlib import Path

from lenssim.errors import DataError
from lenssim.formats.texts import read_text
from lenssim.simulate.fit.scan import Candidate

__all__ = ["read_guesses"]

_OPTIONAL = ("e1", "e2", "gamma1", "gamma2", "source_x", "source_y")


def read_guesses(path: Path) -> dict[str, Candidate]:
    """Return a start for each lens that a table names.

    Args:
        path: A CSV file with the columns name and theta_E, and perhaps e1, e2, gamma1, gamma2,
            source_x and source_y.

    Raises:
        DataError: A column is missing, or a value is no number.
    """
    lines = read_text(path, "a table of guesses").splitlines()
    reader = csv.DictReader(lines)
    if not {"name", "theta_E"} <= set(reader.fieldnames or ()):
        raise DataError(
            f"{path}: a table of guesses has the columns name and theta_E",
            code="bad-guesses",
            path=path,
        )
    return {row["name"]: _candidate(path, row) for row in reader}


def _candidate(path: Path, row: dict[str, str]) -> Candidate:
    theta_E = _number(path, row, "theta_E")
    rest = {name: _number(path, row, name) for name in _OPTIONAL if row.get(name)}
    rest.setdefault("e1", 0.0)
    rest.setdefault("e2", 0.0)
    rest.setdefault("source_x", 0.0)
    rest.setdefault("source_y", 0.0)
    return Candidate(theta_E=theta_E, **rest)


def _number(path: Path, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or (name == "theta_E" and value <= 0):
        raise DataError(
            f"{path}: {name} of {row['name']} is {row[name]!r}, which is no such number",
            code="bad-guesses",
            path=path,
        )
    return value
