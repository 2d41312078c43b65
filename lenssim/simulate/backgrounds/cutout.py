"""A cut-out of blank sky in a file: its image, its noise map, and where a stamp of it may lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import DataError
from lenssim.formats.fits import open_fits
from lenssim.formats.npy import load_npy

__all__ = [
    "Cutout",
    "band_folders",
    "beside_files",
    "check_scale",
    "cutout_files",
    "file_names",
    "read_cutout",
    "stamp_corners",
]

_FITS = (".fits", ".fit")
_SIGMA = ("RMS", "NOISE", "ERR", "SIGMA", "STD")
_WEIGHT = ("WEIGHT", "WHT", "IVAR")
_VARIANCE = ("VAR",)
_NO_SKY = ("MASK", "DQ", "FLAG", "PSF", "EXP")  # other images beside that of the sky
_BESIDE = tuple(f"_{word.lower()}" for word in (*_SIGMA, *_WEIGHT, *_VARIANCE))
_MASKED = 1e3  # times the median noise: telescopes mask pixels by a huge noise
_SCALE_TOLERANCE = 0.02


@dataclass(frozen=True)
class Cutout:
    """An image of blank sky with its noise.

    Attributes:
        image: Image (H, W).
        sigma: Noise map (H, W), the rms of each pixel, in the unit of the image; NaN where
            a pixel is masked.
        pixel_scale: Side of a pixel [arcsec], NaN if the file does not say.
    """

    image: np.ndarray
    sigma: np.ndarray
    pixel_scale: float = np.nan


def stamp_corners(cutouts: Sequence[Cutout], side: int) -> np.ndarray:
    """Return the corners (K, 2), row and column, of all stamps without a masked pixel.

    Args:
        cutouts: The cut-out of each band; a pixel that one of them masks counts.
        side: Number of pixels a side of a stamp.
    """
    shapes = {cutout.image.shape for cutout in cutouts}
    if len(shapes) > 1 or min(cutouts[0].image.shape) < side:
        return np.zeros((0, 2), dtype=np.int64)
    masked = ~np.isfinite(sum(cutout.image + cutout.sigma for cutout in cutouts))
    total = np.pad(masked, ((1, 0), (1, 0))).astype(np.int64).cumsum(0).cumsum(1)
    count = total[side:, side:] - total[:-side, side:]
    count = count - total[side:, :-side] + total[:-side, :-side]
    return np.argwhere(count == 0)


def band_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders of bands: those with cut-outs, if the folder has none itself.

    Args:
        folder: The folder.
    """
    if cutout_files(folder):
        return ()
    folders = [place for place in folder.iterdir() if place.is_dir()]
    return tuple(sorted(place.name for place in folders if cutout_files(place)))


def file_names(folder: Path, bands: Sequence[str]) -> list[str]:
    """Return the names of the cut-outs, which all folders of bands have.

    Args:
        folder: The folder.
        bands: Names of the folders of bands; none if the files lie in the folder itself.

    Raises:
        ValueError: A folder lacks a file that another one has.
    """
    if not bands:
        return [file.name for file in cutout_files(folder)]
    names = {band: {file.name for file in cutout_files(folder / band)} for band in bands}
    everything = set().union(*names.values())
    for band in bands:
        if missing := sorted(everything - names[band]):
            raise ValueError(
                f"the folder {band} of {folder} lacks {missing[0]}, which another band has"
            )
    return sorted(everything)


def cutout_files(folder: Path) -> list[Path]:
    """Return the files of cut-outs in a folder, in order of their names; noise maps are beside them.

    Args:
        folder: The folder.
    """
    files = [file for file in folder.iterdir() if file.suffix.lower() in (*_FITS, ".npy")]
    return sorted(file for file in files if not file.stem.lower().endswith(_BESIDE))


def read_cutout(file: Path) -> Cutout:
    """Return the image and the noise map of a file.

    A FITS file holds the noise as a second image called RMS, NOISE, ERR, WEIGHT, IVAR or
    VAR, or a file beside it does: `sky1.fits` and `sky1_rms.fits`, or `sky1.npy` and
    `sky1_rms.npy`.

    Raises:
        DataError: A file cannot be read, or there is no noise map of the same shape.
    """
    images = _named_images(file)
    image = images.pop("", None)
    if image is None:
        raise _fault(file, "it holds no image of the sky")
    noise = _noise(images)
    for beside in _beside(file):
        if noise is None:
            name = beside.stem.rpartition("_")[2]
            noise = _noise({name.upper(): next(iter(_named_images(beside).values()))})
    if noise is None:
        raise _fault(
            file,
            "it has no noise map: give a second image called RMS, WEIGHT or VAR, or a file "
            f"{file.stem}_rms{file.suffix}",
        )
    if noise.shape != image.shape or image.ndim != 2:
        raise _fault(file, f"its image is {image.shape} and its noise map {noise.shape}")
    good = np.isfinite(noise) & (noise > 0)
    if not good.any():
        raise _fault(file, "all pixels of its noise map are masked")
    good &= noise < _MASKED * np.median(noise[good])
    return Cutout(image, np.where(good, noise, np.nan), _pixel_scale(file))


def beside_files(file: Path) -> list[Path]:
    """Return the files of a cut-out: its own, and that of its noise map where there is one."""
    return [file, *_beside(file)]


def _beside(file: Path) -> list[Path]:
    names = (file.with_name(f"{file.stem}{word}{file.suffix}") for word in _BESIDE)
    return [name for name in names if name.is_file()]


def _fault(file: Path, words: str) -> DataError:
    return DataError(f"{file}: {words}", code="background-file", file=file)


def _named_images(file: Path) -> dict[str, np.ndarray]:
    """Return the images of a file by name; the sky's is called ""."""
    if file.suffix.lower() == ".npy":
        return {"": np.asarray(load_npy(file), dtype=np.float64)}
    found: dict[str, np.ndarray] = {}
    skies: list[str] = []
    with open_fits(file) as units:
        for number, unit in enumerate(units):
            if not unit.is_image or unit.data is None:
                continue
            name = unit.name.upper()
            if not any(word in name for word in (*_SIGMA, *_WEIGHT, *_VARIANCE)):
                if any(word in name for word in _NO_SKY):
                    continue
                skies.append(unit.name or str(number))
                name = ""
            found.setdefault(name, np.asarray(unit.data, dtype=np.float64))
    if len(skies) > 1:
        raise _fault(
            file,
            f"it holds {len(skies)} images beside its noise map: {', '.join(skies)}; give each "
            "image a file, so that it is clear which one is the sky",
        )
    return found


def _noise(images: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return the rms of the noise, from a map of the rms, variance or inverse variance."""
    for name, array in images.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            if _has(name, _SIGMA):
                return array
            if _has(name, _WEIGHT):
                return 1 / np.sqrt(array)
            if _has(name, _VARIANCE):
                return np.sqrt(array)
    return None


def _has(name: str, words: Sequence[str]) -> bool:
    return any(word in name for word in words)


def _pixel_scale(file: Path) -> float:
    """Return the side of a pixel [arcsec] that a FITS header states, else NaN."""
    if file.suffix.lower() == ".npy":
        return np.nan
    with open_fits(file) as units:
        for unit in units:
            if unit.is_image and unit.data is not None:
                return _scale_of(unit.header)
    return np.nan


def _scale_of(header: Any) -> float:
    if "CD1_1" in header:
        column = float(header["CD1_1"]), float(header.get("CD2_1", 0.0))
        return 3600 * float(np.hypot(*column))
    if "CDELT1" in header:
        return 3600 * abs(float(header["CDELT1"]) * float(header.get("PC1_1", 1.0)))
    return np.nan


def check_scale(cutout: Cutout, pixel_scale: float, where: str) -> None:
    """Refuse a cut-out whose pixels are not those of the camera.

    Raises:
        DataError: They differ by more than 2 %.
    """
    scale = cutout.pixel_scale
    if np.isfinite(scale) and abs(scale / pixel_scale - 1) > _SCALE_TOLERANCE:
        raise DataError(
            f"{where}: its pixels are {scale:.4g} arcsec wide, those of the camera "
            f"{pixel_scale:.4g}: resample it, or state the camera's pixel_scale",
            code="background-file",
            file=where,
        )
