"""Galaxies as version 0.1 showed them: every stamp, in the order of the files.

Data sets of that version name their galaxies without a recipe, and keep these images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, DataError
from lenssim.formats.fits import open_fits, read_fits_images
from lenssim.formats.npy import load_npy
from lenssim.simulate.sources.frame import framed
from lenssim.simulate.sources.galsim_layout import stamps_of
from lenssim.simulate.sources.selection import MAX_GALAXIES

__all__ = ["first_recipe_images", "first_recipe_rows"]


def first_recipe_images(files: Sequence[Path], where: str) -> np.ndarray:
    """Return all galaxies of files in the common frame, float32 (K, 128, 128).

    Raises:
        ConfigError: There are too many, or an image shows no galaxy.
        DataError: A file cannot be read.
    """
    pictures = _pictures(files)
    if not 1 <= len(pictures) <= MAX_GALAXIES:
        raise ConfigError(
            f"{where} holds {len(pictures)} images; give 1 to {MAX_GALAXIES} galaxies",
            code="galaxy-count",
            where=where,
        )
    return np.stack([framed(picture) for picture in pictures])


def first_recipe_rows(count: int, code: int) -> np.ndarray:
    """Return which of `count` galaxies are for a split, by its code: one in ten for each test."""
    numbers = np.arange(count)
    if code:
        return numbers[numbers % 10 == 7 + code]
    return numbers[numbers % 10 < 8]


def _pictures(files: Sequence[Path]) -> list[np.ndarray]:
    listed = [stamp for file in files for stamp in stamps_of(file)]
    if listed:
        return _units(listed)
    return [image for file in files for image in _images_of(file)]


def _units(listed: list[tuple[Path, int]]) -> list[np.ndarray]:
    """Return the images that a catalogue lists, in its order; each file is opened once."""
    images: dict[tuple[Path, int], np.ndarray] = {}
    for file in dict.fromkeys(file for file, _ in listed):
        with open_fits(file) as units:
            for number in {unit for path, unit in listed if path == file}:
                images[file, number] = _image_of_unit(units, file, number)
    return [images[stamp] for stamp in listed]


def _image_of_unit(units: Any, file: Path, number: int) -> np.ndarray:
    if (
        not 0 <= number < len(units)
        or not units[number].is_image
        or units[number].data is None
    ):
        raise DataError(
            f"{file} has no image as its unit {number}, which the catalogue lists",
            code="galaxy-image-file",
            file=file,
            number=number,
        )
    return np.asarray(units[number].data, dtype=np.float64)


def _images_of(file: Path) -> list[np.ndarray]:
    """Return all images (H, W) of a file, from arrays of two axes or more."""
    images: list[np.ndarray] = []
    for array in _arrays_of(file):
        if isinstance(array, list):
            raise DataError(
                f"{file}: galaxies are given as an array (H, W) or (K, H, W) of numbers",
                code="galaxy-image-file",
                file=file,
            )
        if np.ndim(array) > 2:
            images += list(np.reshape(array, (-1, *array.shape[-2:])))
        else:
            images.append(np.asarray(array))
    return images


def _arrays_of(file: Path) -> list[Any]:
    if file.suffix.lower() == ".npy":
        return [load_npy(file)]
    return read_fits_images(file)
