"""GalSim's layout of real galaxies: a catalogue, and files with images, PSFs and the noise."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import DataError
from lenssim.formats.fits import open_fits
from lenssim.simulate.sources.stamps import Catalogue, Entry

__all__ = ["FITS_ENDINGS", "companion_files", "fits_units", "galsim_catalogue", "stamps_of"]

FITS_ENDINGS = (".fits", ".fit")
_REDSHIFTS = ("zphot", "ZPHOT", "redshift", "z")


def stamps_of(file: Path) -> list[tuple[Path, int]]:
    """Return files and units of the images that a catalogue lists; none if it is no catalogue.

    Raises:
        DataError: The file cannot be read.
    """
    return [
        (file.parent / str(name).strip(), int(unit))
        for name, unit in zip(*_columns(file, "GAL_FILENAME", "GAL_HDU"), strict=True)
    ]


def _columns(file: Path, *names: str) -> list[list[Any]]:
    """Return columns of the first table that has all of them; empty ones where none has."""
    if file.suffix.lower() not in FITS_ENDINGS:
        return [[] for _ in names]
    with open_fits(file) as units:
        for unit in units:
            columns = getattr(getattr(unit, "columns", None), "names", [])
            if all(name in columns for name in names):
                return [list(unit.data[name]) for name in names]
    return [[] for _ in names]


def companion_files(files: Sequence[Path]) -> list[Path]:
    """Return the files beside catalogues that say more of their stamps.

    They are the PSFs, the correlation of the noise and the second catalogue with redshifts,
    as far as they exist.

    Args:
        files: Files, of which some may be catalogues.
    """
    companions = set()
    for file in files:
        if not stamps_of(file):
            continue
        for column in ("PSF_FILENAME", "NOISE_FILENAME"):
            names = {str(name).strip() for name in _columns(file, column)[0]}
            companions |= {file.parent / name for name in names}
        companions.add(_second_catalogue(file))
    return sorted(file for file in companions if file.is_file())


def _second_catalogue(file: Path) -> Path:
    return file.with_name(f"{file.stem}_fits{file.suffix}")


def galsim_catalogue(file: Path) -> Catalogue:
    """Return the stamps of a catalogue, with what it says of their noise.

    Args:
        file: The catalogue, a FITS table.

    Raises:
        DataError: A file cannot be read, or does not hold what the catalogue lists.
    """
    stamps = stamps_of(file)
    count = len(stamps)
    nothing = [math.nan] * count
    magnitudes, variances, ra, dec = (
        _columns(file, name)[0] or nothing
        for name in ("MAG", "NOISE_VARIANCE", "RA", "DEC")
    )
    identities = _columns(file, "IDENT")[0] or range(count)
    redshifts = _redshifts(file, list(identities))
    entries = tuple(
        Entry(
            name=str(identity),
            magnitude=float(magnitude),
            redshift=redshifts.get(int(identity), math.nan),
            variance=float(variance),
            position=(float(right), float(declination)),
        )
        for identity, magnitude, variance, right, declination in zip(
            identities, magnitudes, variances, ra, dec, strict=True
        )
    )
    names = _columns(file, "PSF_FILENAME", "PSF_HDU")
    psfs = [
        (file.parent / str(name).strip(), int(unit))
        for name, unit in zip(*names, strict=True)
    ]
    has_psfs = bool(psfs) and all(psf.exists() for psf in {psf for psf, _ in psfs})
    return Catalogue(
        entries,
        lambda row: _unit(*stamps[row]),
        (lambda row: _unit(*psfs[row])) if has_psfs else None,
        _noise_correlation(file),
    )


def _unit(file: Path, number: int) -> np.ndarray:
    images = fits_units(file)
    if number not in images:
        raise DataError(
            f"{file} has no image as its unit {number}, which the catalogue lists",
            code="galaxy-image-file",
            file=file,
            number=number,
        )
    return images[number]


def _redshifts(file: Path, identities: Sequence[int]) -> dict[int, float]:
    """Return redshifts by IDENT, from the catalogue or from GalSim's second one beside it."""
    for table in (file, _second_catalogue(file)):
        if not table.exists():
            continue
        for name in _REDSHIFTS:
            values, names = _columns(table, name, "IDENT")
            if values:
                return {int(key): float(z) for key, z in zip(names, values, strict=True)}
    return {}


def _noise_correlation(file: Path) -> np.ndarray | None:
    """Return the correlation of the noise of a catalogue, if its file is there."""
    names = {str(name).strip() for name in _columns(file, "NOISE_FILENAME")[0]}
    if len(names) != 1:
        return None
    path = file.parent / names.pop()
    if not path.is_file():
        return None
    table = _unit(path, 0)
    if table.ndim != 2 or table.shape[0] % 2 == 0 or not table.max() > 0:
        raise DataError(
            f"{path}: a noise correlation is a square with its peak in the middle",
            code="galaxy-image-file",
            file=path,
        )
    return table / table.max()


@lru_cache(maxsize=4)
def fits_units(file: Path) -> dict[int, np.ndarray]:
    """Return the images of a FITS file by the number of their unit.

    Raises:
        DataError: The file cannot be read.
    """
    with open_fits(file) as units:
        return {
            number: np.asarray(unit.data, dtype=np.float64)
            for number, unit in enumerate(units)
            if unit.is_image and unit.data is not None
        }
