"""Files of tables that simulations depend on: they are known by their hash."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field, ValidationInfo, model_validator

from lenssim.errors import ConfigError, DataError
from lenssim.formats.tables import read_table
from lenssim.names import printable
from lenssim.record import Record

__all__ = ["TableFile"]


class TableFile(Record):
    """A CSV file whose first line names its columns, or a FITS table, with its sha256.

    What is made of it depends on every number of it. So the hash stays with what is made.
    """

    what: ClassVar[str] = "table"
    remedy: ClassVar[str] = "give the path where it is now"

    path: str = ""
    sha256: str = ""
    rows: int = Field(default=0, ge=0)

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
            raise ValueError(f"cannot read the {cls.what}: {error}") from None
        rows = len(next(iter(columns.values())))
        return {**data, "path": str(path), "sha256": sha256, "rows": rows}

    def columns_read(self) -> dict[str, np.ndarray]:
        """Return the columns (N,) of the file.

        Raises:
            ConfigError: The file is missing, has changed, or cannot be read.
        """
        if not self.path or not Path(self.path).is_file():
            where = f"at {self.path}" if self.path else "at a place that is known"
            raise ConfigError(
                f"the {self.what} is not {where}; {self.remedy}",
                code="lens-table-missing",
                path=self.path,
            )
        return _load(self.path, self.sha256, self.what)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=2)
def _load(path: str, sha256: str, what: str) -> dict[str, np.ndarray]:
    try:
        changed = _digest(Path(path)) != sha256
        columns = read_table(Path(path))
    except (DataError, OSError) as error:
        raise ConfigError(
            f"cannot read the {what}: {error}", code="table-unreadable", path=path
        ) from None
    if changed:
        raise ConfigError(
            f"the {what} {path} is not the one that the data set was planned with "
            "(sha256 differs)",
            code="table-differs",
            path=path,
        )
    for name in columns:
        if not name.isidentifier():
            raise ConfigError(
                f"the column {printable(name)!r} of the {what} must be called by letters, "
                "digits and _",
                code="table-column",
                name=name,
            )
    return columns
