"""Tables of lenses: columns that are read from a file and not drawn."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationInfo, model_validator

from lenssim.errors import ConfigError, DataError
from lenssim.formats.tables import read_table
from lenssim.names import printable
from lenssim.record import Record
from lenssim.simulate.streams import SPLITS

__all__ = ["LensTable"]


class LensTable(Record):
    """A table of lenses, one a row: sample number i has the numbers of row i.

    `path` is a CSV file whose first line names its columns, or a FITS table. Columns with
    the names of a preset's columns take their place. The others travel along as truth. Every
    image of a data set depends on the table, so its `sha256` stays with the data set. Without
    `split` its lenses may be shown in every split.
    """

    path: str = ""
    sha256: str = ""
    rows: int = Field(default=0, ge=0)
    split: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_hash(cls, data: object, info: ValidationInfo) -> object:
        if isinstance(data, str):
            data = {"path": data}
        if not isinstance(data, dict) or data.get("sha256"):
            return data
        if not isinstance(data.get("path"), str):
            return data
        folder = (info.context or {}).get("folder", ".")
        path = Path(folder, data["path"]).expanduser().resolve()
        try:
            columns = read_table(path)
            sha256 = _digest(path)
        except (DataError, OSError) as error:
            raise ValueError(f"cannot read the table of lenses: {error}") from None
        rows = len(next(iter(columns.values())))
        return {**data, "path": str(path), "sha256": sha256, "rows": rows}

    @model_validator(mode="after")
    def _of_a_split(self) -> "LensTable":
        if self.split is not None and self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}")
        return self

    def at(self, path: str | Path) -> "LensTable":
        """Return the same table, which is at `path` now."""
        return self.model_copy(update={"path": str(Path(path).expanduser().resolve())})

    def of(self, numbers: np.ndarray, split: str) -> dict[str, np.ndarray]:
        """Return the columns (N,) of some samples.

        Args:
            numbers: Sample numbers (N,). Those beyond the last row get the last one: blocks of
                random numbers are always whole.
            split: The split that is drawn.

        Raises:
            ConfigError: The table is missing or has changed, or has a lens of another split.
        """
        if self.split not in (None, split):
            raise ConfigError(
                f"the table of lenses is for the split {self.split!r}, and not for {split!r}",
                code="table-split",
                split=split,
            )
        rows = np.minimum(numbers, self.rows - 1)
        return {name: column[rows] for name, column in self._columns().items()}

    def check_count(self, count: int) -> None:
        """Refuse more samples than the table has rows.

        Raises:
            ConfigError: `count` is larger.
        """
        if count > self.rows:
            raise ConfigError(
                f"the table of lenses has {self.rows} rows: ask for at most so many images",
                code="table-too-short",
                rows=self.rows,
            )

    def _columns(self) -> dict[str, np.ndarray]:
        if not self.path or not Path(self.path).is_file():
            where = f"at {self.path}" if self.path else "at a place that is known"
            raise ConfigError(
                f"the table of lenses is not {where}; give --lenses PATH, where it is now",
                code="lens-table-missing",
                path=self.path,
            )
        return _load(self.path, self.sha256)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=2)
def _load(path: str, sha256: str) -> dict[str, np.ndarray]:
    try:
        changed = _digest(Path(path)) != sha256
        columns = read_table(Path(path))
    except (DataError, OSError) as error:
        raise ConfigError(
            f"cannot read the table of lenses: {error}", code="table-unreadable", path=path
        ) from None
    if changed:
        raise ConfigError(
            f"the table of lenses {path} is not the one that the data set was planned with "
            "(sha256 differs)",
            code="table-differs",
            path=path,
        )
    for name in columns:
        if not name.isidentifier():
            raise ConfigError(
                f"the column {printable(name)!r} of the table of lenses must be called by letters, "
                "digits and _",
                code="table-column",
                name=name,
            )
    return columns
