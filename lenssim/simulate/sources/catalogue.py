"""Catalogues of galaxies: what a file or folder says of its stamps, whatever its layout."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, DataError
from lenssim.formats.fits import open_fits
from lenssim.formats.hdf5 import hdf5_shapes, read_hdf5, read_hdf5_rows
from lenssim.formats.npy import load_npy
from lenssim.formats.pictures import PICTURE_ENDINGS, read_picture
from lenssim.simulate.sources.galsim_layout import (
    FITS_ENDINGS,
    fits_units,
    galsim_catalogue,
    stamps_of,
)
from lenssim.simulate.sources.stamps import Catalogue, Entry

__all__ = ["catalogue_files", "check_band", "read_catalogue"]

_ARRAYS = (".npy", *FITS_ENDINGS)
_HDF5 = (".h5", ".hdf5")
_KINDS = (_ARRAYS, _HDF5, PICTURE_ENDINGS)  # of files of a folder, the first that it holds
_NOT_SKY = ("PSF", "RMS", "NOISE", "ERR", "WEIGHT", "WHT", "VAR", "MASK", "DQ")
_IMAGES = "images"  # the dataset of stamps in the Galaxy10 layout


def catalogue_files(path: Path) -> list[Path]:
    """Return the files that decide the galaxies at a path, in order.

    Raises:
        ConfigError: There is nothing at the path.
        DataError: A catalogue cannot be read.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist", code="galaxies-missing", path=path)
    files = [path]
    if path.is_dir():
        files = _files_of_folder(path)
    stamps = {stamp for file in files for stamp, _ in stamps_of(file)}
    return sorted({*files, *stamps})


def _files_of_folder(folder: Path) -> list[Path]:
    catalogues = sorted(folder.glob("*catalog*.fits"))
    files = [file for file in catalogues if stamps_of(file)]
    if files:
        return files
    for endings in _KINDS:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in endings)
        if files:
            return files
    known = ", ".join(ending for kind in _KINDS for ending in kind)
    raise ConfigError(
        f"{folder} holds no {known} file", code="galaxies-missing", path=folder
    )


def read_catalogue(path: Path) -> Catalogue:
    """Return the stamps of a file or folder.

    Layouts are told apart by content: GalSim's real galaxies (a catalogue, with images,
    PSFs and the noise), Galaxy10's HDF5 file (`images` (N, H, W, 3), `ans`, `redshift`),
    and arrays or pictures in files of their own.

    Raises:
        ConfigError: There is nothing at the path.
        DataError: A file cannot be read, or is none of these.
    """
    files = catalogue_files(path)
    listing = [file for file in files if stamps_of(file)]
    if listing:
        return _joined([galsim_catalogue(file) for file in listing])
    return _joined([_of_file(file) for file in files])


def _of_file(file: Path) -> Catalogue:
    ending = file.suffix.lower()
    if ending in _HDF5:
        return _galaxy10(file)
    if ending in PICTURE_ENDINGS:
        entry = Entry(file.name, stem=file.stem)
        return Catalogue(
            (entry,), lambda _: _bands_first(read_picture(file)), is_picture=True
        )
    if ending == ".npy":
        return _array(file)
    return _fits(file)


def _array(file: Path) -> Catalogue:
    array = load_npy(file)
    if isinstance(array, list):
        raise DataError(
            f"{file}: galaxies are given as an array (H, W) or (K, H, W) of numbers",
            code="galaxy-image-file",
            file=file,
        )
    if np.ndim(array) <= 2:
        return Catalogue((Entry(file.name, stem=file.stem),), lambda _: np.asarray(array))
    images = np.reshape(array, (-1, *array.shape[-2:]))
    entries = tuple(Entry(f"{file.name}[{number}]") for number in range(len(images)))
    return Catalogue(entries, lambda number: images[number])


def _fits(file: Path) -> Catalogue:
    entries = []
    numbers = []
    with open_fits(file) as units:
        for number, unit in enumerate(units):
            shape = tuple(unit.shape) if unit.is_image else ()
            if not shape or not all(shape):
                continue
            if len(units) > 1 and any(word in unit.name.upper() for word in _NOT_SKY):
                continue
            name = f"{file.name}[{unit.name or number}]" if len(units) > 1 else file.name
            position = _position(unit.header, shape)
            count = int(np.prod(shape[:-2], dtype=np.int64))
            for plane in range(count):
                label = f"{name}[{plane}]" if count > 1 else name
                entries.append(
                    Entry(label, position=position if count == 1 else Entry.position)
                )
                numbers.append((number, plane))
    if len(entries) == 1:
        entries = [replace(entries[0], stem=file.stem)]

    def image(row: int) -> np.ndarray:
        number, plane = numbers[row]
        array = fits_units(file)[number]
        return array.reshape(-1, *array.shape[-2:])[plane] if array.ndim > 1 else array

    return Catalogue(tuple(entries), image)


def _position(header: Any, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the position [deg] of the middle of an image; NaN where its header has none."""
    from astropy.wcs import WCS

    if "CRVAL1" not in header or "CTYPE1" not in header or len(shape) < 2:
        return Entry.position
    try:
        sky = WCS(header).celestial
        middle = ((shape[-1] - 1) / 2, (shape[-2] - 1) / 2)
        ra, dec = sky.wcs_pix2world([middle], 0)[0]
    except Exception:  # a damaged header says nothing of the position
        return Entry.position
    return float(ra), float(dec)


def _galaxy10(file: Path) -> Catalogue:
    """Return the stamps of an HDF5 file in the layout of Galaxy10."""
    shapes = hdf5_shapes(file)
    shape = shapes.get(_IMAGES, ())
    if len(shape) not in (3, 4):
        raise DataError(
            f"{file}: an HDF5 file of galaxies has an array `images` of shape (N, H, W) or "
            f"(N, H, W, 3), and may have `ans` and `redshift`; it has {shapes or 'none'}",
            code="galaxy-image-file",
            file=file,
        )
    count = shape[0]
    extras = {}
    for name in ("ans", "redshift"):
        if shapes.get(name) == (count,):
            extras[name] = read_hdf5(file, name)
    kinds = extras.get("ans", np.full(count, -1))
    redshifts = extras.get("redshift", np.full(count, math.nan))
    entries = tuple(
        Entry(f"{file.name}[{row}]", redshift=float(redshifts[row]), kind=int(kinds[row]))
        for row in range(count)
    )
    return Catalogue(
        entries,
        lambda row: _bands_first(read_hdf5_rows(file, _IMAGES, [row])[0]),
        is_picture=True,
    )


def check_band(catalogue: Catalogue, numbers: Sequence[int], band: str | None) -> None:
    """Check that galaxies have the band that is to be shown, by name or as a channel.

    Args:
        catalogue: The catalogue.
        numbers: Rows of the stamps that are shown.
        band: Name or number of the band; None leaves nothing to check.

    Raises:
        ConfigError: No stamp is named after the band, and stamps have one image each.
    """
    if band is None or not numbers:
        return
    names = [catalogue.entries[number].name.lower() for number in numbers]
    if any(band.lower() in name for name in names):
        return
    if catalogue.image(numbers[0]).ndim != 3:
        raise ConfigError(
            f"galaxies with one image each, none of which is named after the band {band!r}: "
            "leave `band` out",
            code="galaxy-selection",
            band=band,
        )


def _bands_first(image: np.ndarray) -> np.ndarray:
    """Return a picture (H, W) or (H, W, C) with its colours first."""
    return np.moveaxis(image, -1, 0) if image.ndim == 3 else image


def _joined(parts: Sequence[Catalogue]) -> Catalogue:
    """Return several catalogues as one."""
    if len(parts) == 1:
        return parts[0]
    places = [(part, row) for part in parts for row in range(len(part.entries))]

    def image(number: int) -> np.ndarray:
        part, row = places[number]
        return part.image(row)

    def psf(number: int) -> np.ndarray:
        part, row = places[number]
        assert part.psf is not None
        return part.psf(row)

    return Catalogue(
        tuple(entry for part in parts for entry in part.entries),
        image,
        psf if all(part.psf for part in parts) else None,
        parts[0].correlation,
        any(part.is_picture for part in parts),
    )
