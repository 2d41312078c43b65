"""Tables of lenses: columns that are read from a file and not drawn."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import model_validator

from lenssim.errors import ConfigError
from lenssim.simulate.streams import SPLITS
from lenssim.simulate.table_file import TableFile

__all__ = ["LensTable"]


class LensTable(TableFile):
    """A table of lenses, one a row: sample number i has the numbers of row i.

    `path` is a CSV file whose first line names its columns, or a FITS table. Columns with
    the names of a preset's columns take their place. The others travel along as truth. Every
    image of a data set depends on the table, so its `sha256` stays with the data set. Without
    `split` its lenses may be shown in every split.
    """

    what: ClassVar[str] = "table of lenses"
    remedy: ClassVar[str] = "give --lenses PATH, where it is now"

    split: str | None = None

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
        return {name: column[rows] for name, column in self.columns_read().items()}

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
