"""Guesses: further starts of fits, from a table."""

import hashlib
import math
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from lenssim.data.exchange.csv_text import number_of, read_table
from lenssim.errors import DataError
from lenssim.formats.limits import refusing
from lenssim.names import printable
from lenssim.simulate.fit.scan import Candidate
from lenssim.sky.models.starts import Starts

__all__ = ["guessed_starts", "read_guesses"]

_NEEDED = ("name", "theta_E")
_OPTIONAL = ("e1", "e2", "gamma1", "gamma2", "source_x", "source_y")
_LARGEST = {  # absolute values that a start may have
    "theta_E": 100.0,  # arcsec
    "e1": 0.95,
    "e2": 0.95,
    "gamma1": 1.0,
    "gamma2": 1.0,
    "source_x": 100.0,  # arcsec
    "source_y": 100.0,
}


def read_guesses(path: Path, names: Collection[str] | None = None) -> dict[str, Candidate]:
    """Return a start for each lens that a table names.

    Args:
        path: A CSV file with the columns name and theta_E, and perhaps e1, e2, gamma1, gamma2,
            source_x and source_y. Commas, semicolons or tabs separate them.
        names: Names of the lenses; a row about another one is refused. None: any name will do.

    Raises:
        DataError: A column is missing, a value is no number or too large, or a name is not
            that of a lens, or stands twice.
    """
    table = read_table(path)
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise _fault(
            path,
            f"it has no column {missing[0]}; a table of guesses has the columns name and "
            "theta_E",
        )
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    _check_names(path, [row["name"] for row in rows], names)
    return {row["name"]: _candidate(path, row) for row in rows}


def guessed_starts(path: Path, names: Collection[str] | None = None) -> Starts:
    """Return the guesses of a table as starts, with the SHA-256 of the table.

    Args:
        path: The table, see `read_guesses`.
        names: Names of the lenses.

    Raises:
        DataError: It cannot be read, or a guess is no start.
    """
    guesses = read_guesses(path, names)
    with refusing(path, "a table of guesses"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    by_lens = {name: (candidate,) for name, candidate in guesses.items()}
    return Starts(by_lens, {"guesses_sha256": digest})


def _fault(path: Path, words: str) -> DataError:
    return DataError(f"{printable(str(path))}: {words}", code="bad-guesses", path=path)


def _check_names(path: Path, cells: list[str], names: Collection[str] | None) -> None:
    twice = [name for name, count in Counter(cells).items() if count > 1]
    if twice:
        raise _fault(path, f"it has {printable(twice[0])!r} twice")
    strange = [name for name in cells if names is not None and name not in names]
    if strange:
        example = next(iter(names or ()), "")
        raise _fault(
            path,
            f"the data set has no lens {printable(strange[0])!r}; its lenses have names such "
            f"as {printable(example)!r}",
        )


def _candidate(path: Path, row: dict[str, str]) -> Candidate:
    theta_E = _number(path, row, "theta_E")
    values = {name: _number(path, row, name) for name in _OPTIONAL if row.get(name)}
    values.setdefault("e1", 0.0)
    values.setdefault("e2", 0.0)
    values.setdefault("source_x", 0.0)
    values.setdefault("source_y", 0.0)
    if values["e1"] ** 2 + values["e2"] ** 2 >= _LARGEST["e1"] ** 2:
        raise _fault(
            path,
            f"e1 and e2 of {printable(row['name'])} are no ellipse; their length is below 0.95",
        )
    return Candidate(theta_E=theta_E, **values)


def _number(path: Path, row: dict[str, str], name: str) -> float:
    which = f"{name} of {printable(row['name'])} is {printable(row[name][:40])!r}"
    try:
        value = number_of(row[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _fault(path, f"{which}, which is no number")
    if abs(value) > _LARGEST[name] or (name == "theta_E" and value < 1e-3):
        lowest = "0.001" if name == "theta_E" else f"{-_LARGEST[name]:g}"
        raise _fault(path, f"{which}; it must lie in {lowest}..{_LARGEST[name]:g}")
    return value
