"""Catalogues of galaxies that a user brings, of which a survey's sources are drawn."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from lenssim.errors import ConfigError
from lenssim.record import Record
from lenssim.simulate.sources.colours import GALAXY_TYPES
from lenssim.simulate.table_file import TableFile

__all__ = ["GalaxyCatalogue", "GalaxyColumns"]

_SQUARE_ARCSEC = 3600.0**2  # of a square degree
_LIMITS = {  # of columns: above the first number, and up to the second
    "z": (0.0, 6.0),
    "magnitude": (0.0, 60.0),
    "R_sersic": (0.0, 60.0),
    "q": (0.0, 1.0),
}


class GalaxyColumns(Record):
    """What the columns of a catalogue of galaxies are called."""

    z: str = Field(default="z", description="redshift")
    magnitude: str = Field(default="magnitude", description="AB magnitude")
    R_sersic: str = Field(default="R_sersic", description="half-light radius [arcsec]")
    q: str | None = Field(default=None, description="axis ratio; None: drawn")
    spectrum: str | None = Field(
        default=None, description="type, from 0 for E to 3 for Im; None: drawn"
    )

    def stated(self) -> dict[str, str]:
        """Return the names of the columns in the file, by what they hold."""
        return {name: value for name, value in self.model_dump().items() if value}


class GalaxyCatalogue(TableFile):
    """Galaxies of a part of the sky, one a row of a CSV or FITS file.

    Sources are rows of it, each as likely as the others, at random places. The area says how
    many of them a square degree has. The file is checked when it is named.
    """

    what: ClassVar[str] = "catalogue of sources"

    area: float = Field(gt=0, le=41253, description="that its rows cover [square degrees]")
    columns: GalaxyColumns = GalaxyColumns()
    spectrum: tuple[Literal["E", "Sbc", "Scd", "Im"], ...] = Field(
        default=("Sbc", "Scd", "Im"), min_length=1, max_length=4
    )

    @model_validator(mode="after")
    def _checked(self) -> "GalaxyCatalogue":
        try:
            self._read()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def share(self) -> float:
        """Galaxies a square arcsec that one row stands for."""
        return 1 / (self.area * _SQUARE_ARCSEC)

    def density(self, faintest: float, z: tuple[float, float]) -> float:
        """Return the galaxies a square arcsec; arguments as `galaxies`."""
        return len(self.galaxies(faintest, z)["z"]) * self.share

    def galaxies(self, faintest: float, z: tuple[float, float]) -> dict[str, np.ndarray]:
        """Return the columns (N,) of galaxies, by the names of `GalaxyColumns`.

        Args:
            faintest: Largest magnitude.
            z: Smallest and largest redshift.

        Raises:
            ConfigError: The file has changed, or has no such galaxy.
        """
        columns = self._read()
        rows = columns["magnitude"] < faintest
        rows &= (columns["z"] >= z[0]) & (columns["z"] <= z[1])
        if not rows.any():
            raise ConfigError(
                f"the catalogue {self.path} has no galaxy brighter than {faintest:g} mag at "
                f"z of {z[0]:g} to {z[1]:g}: change `faintest` or `z`",
                code="no-survey-lenses",
                path=self.path,
            )
        return {name: column[rows] for name, column in columns.items()}

    def _read(self) -> dict[str, np.ndarray]:
        """Return the checked columns (N,) of all rows."""
        read = self.columns_read()
        columns = {}
        for name, column in self.columns.stated().items():
            if column not in read:
                raise ConfigError(
                    f"{self.path} has no column of numbers {column!r}, which `columns` "
                    f"states as its {name}; it has {', '.join(read)}",
                    code="table-column",
                    name=column,
                )
            self._check(name, column, read[column])
            columns[name] = read[column]
        return columns

    def _check(self, name: str, column: str, values: np.ndarray) -> None:
        """Refuse numbers that no galaxy has, by their row."""
        if name == "spectrum":
            is_fine = np.isin(values, np.arange(len(GALAXY_TYPES)))
            range_text = f"0 to {len(GALAXY_TYPES) - 1}"
        else:
            low, high = _LIMITS[name]
            is_fine = (values > low) & (values <= high)
            range_text = f"above {low:g} and at most {high:g}"
        if is_fine.all():
            return
        row = int(np.argmin(is_fine))
        raise ConfigError(
            f"{self.path}: {int((~is_fine).sum())} rows have no {column} {range_text}; the "
            f"first is row {row} (from 0) with {values[row]:g}",
            code="table-column",
            name=column,
        )
