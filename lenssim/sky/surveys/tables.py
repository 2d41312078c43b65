"""The catalogue of a survey as files: parts are joined, and the whole is a FITS table too."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lenssim.data.format.files import write_chunks
from lenssim.formats.tables import read_csv_blocks

__all__ = ["UNITS", "join_tables", "write_fits"]

UNITS = {
    "theta_E": "arcsec",
    "sigma_v": "km/s",
    "source_R_sersic": "arcsec",
    "lens_light_R_sersic": "arcsec",
    "source_magnitude": "mag",
    "lens_light_magnitude": "mag",
    "source2_theta_E": "arcsec",
    "source2_R_sersic": "arcsec",
    "source2_magnitude": "mag",
    "drawn_area": "deg2",
}
"""Units of columns of a catalogue, as FITS writes them."""

_CHUNK = 1 << 20  # bytes
_FITS_BLOCK = 2880  # bytes


def join_tables(path: Path, tables: Sequence[Path]) -> None:
    """Write the rows of several CSV files into one, in little memory.

    Args:
        path: The file to write.
        tables: CSV files of the same columns.
    """

    def chunks() -> Iterator[bytes]:
        for number, table in enumerate(tables):
            with table.open("rb") as file:
                names = file.readline()
                if number == 0:
                    yield names
                while chunk := file.read(_CHUNK):
                    yield chunk

    write_chunks(path, chunks)


def write_fits(path: Path, table: Path) -> None:
    """Write a CSV file of numbers as a FITS table, in little memory.

    Args:
        path: The file to write.
        table: The CSV file.
    """
    rows = 0
    names: list[str] = []
    for block in read_csv_blocks(table):
        names = list(block)
        rows += len(block[names[0]])

    def chunks() -> Iterator[bytes]:
        yield from _headers(names, rows)
        written = 0
        for block in read_csv_blocks(table):
            data = np.stack([block[name] for name in names], axis=1).astype(">f8").tobytes()
            written += len(data)
            yield data
        yield bytes(-written % _FITS_BLOCK)

    write_chunks(path, chunks)


def _headers(names: Sequence[str], rows: int) -> Iterator[bytes]:
    """Yield the headers of a FITS file with one table of float64 columns."""
    from astropy.io import fits

    columns = [fits.Column(name, "D", UNITS.get(name)) for name in names]
    table = fits.BinTableHDU.from_columns(columns, nrows=0)
    table.header["NAXIS2"] = rows
    for header in (fits.PrimaryHDU().header, table.header):
        yield header.tostring().encode("ascii")
