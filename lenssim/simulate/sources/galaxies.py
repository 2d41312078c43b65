"""Images of real galaxies as sources, in one frame in units of their half-light radius."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationInfo, model_validator

from lenssim.errors import ConfigError, DataError
from lenssim.formats.fits import open_fits, read_fits_images
from lenssim.formats.npy import load_npy
from lenssim.record import Record
from lenssim.simulate.streams import split_code

__all__ = ["GALAXY_SIDE", "GALAXY_WIDTH", "Galaxies", "brightness_at", "framed"]

GALAXY_SIDE = 128  # pixels
GALAXY_WIDTH = 10.0  # half-light radii across the frame
_MAX_GALAXIES = 16384  # of 64 kB each
_SUFFIXES = (".npy", ".fits", ".fit")


class Galaxies(Record):
    """Where images of galaxies are, relative to the preset's own file.

    `path` is a .npy file (K, H, W), a .fits file of one or more images, a catalogue in
    GalSim's real-galaxy layout, or a folder of any of these. Every image of a data set
    depends on their contents, so the `sha256` of the contents stays with the data set, and
    files that have changed are refused. The `path` is empty where a data set's own record
    is read: it names contents only, and `Preset.with_galaxies` says where they are. Of
    every ten galaxies one is for the split `validation`, one for `test`, the others for
    `train`.
    """

    path: str = ""
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_hash(cls, data: object, info: ValidationInfo) -> object:
        if isinstance(data, str):
            data = {"path": data}
        if (
            not isinstance(data, dict)
            or data.get("sha256")
            or not isinstance(data.get("path"), str)
        ):
            return data
        path = (
            Path((info.context or {}).get("folder", "."), data["path"])
            .expanduser()
            .resolve()
        )
        try:
            return {"path": str(path), "sha256": _digest(_files(path))}
        except (ConfigError, DataError, OSError) as error:
            raise ValueError(f"cannot read galaxies: {error}") from None

    def at(self, path: str | Path) -> "Galaxies":
        """Return the same galaxies, which are at `path` now."""
        return self.model_copy(update={"path": str(Path(path).expanduser().resolve())})

    def images(self) -> np.ndarray:
        """Return all galaxies in the common frame: float32 (K, GALAXY_SIDE, GALAXY_SIDE).

        Raises:
            ConfigError: The files are missing, unreadable or have changed.
        """
        if not self.path:
            raise ConfigError(
                f"the images of galaxies with the sha256 {self.sha256[:16]}... are needed, and it "
                "is not known where they are; give --galaxies PATH",
                code="galaxies-missing",
            )
        if not Path(self.path).exists():
            raise ConfigError(
                f"the galaxies are not at {self.path}; give --galaxies PATH, where they are now",
                code="galaxies-missing",
                path=self.path,
            )
        return _load(self.path, self.sha256)

    def of(self, split: str) -> np.ndarray:
        """Return the rows of `images` that a split may show.

        Raises:
            ConfigError: There are none.
        """
        numbers = np.arange(len(self.images()))
        code = split_code(split)
        rows = numbers[numbers % 10 < 8]
        if code:
            rows = numbers[numbers % 10 == 7 + code]
        if not len(rows):
            raise ConfigError(
                f"{self.path} holds {len(numbers)} galaxies, none of them for the split {split!r}: every tenth is, "
                "so give at least 10",
                code="too-few-galaxies",
                path=self.path,
                split=split,
            )
        return rows


def framed(image: np.ndarray) -> np.ndarray:
    """Return a galaxy in the common frame, about its centre of light, with sum 1.

    The frame is GALAXY_WIDTH half-light radii wide. The median of the outermost pixels is
    subtracted. The galaxy is the region connected to the brightest pixel above three times
    their scatter, both smoothed by two pixels. Pixels are resampled bilinearly, and light
    beyond the frame is lost.

    Args:
        image: Image (H, W).

    Returns:
        Image (GALAXY_SIDE, GALAXY_SIDE), float32.

    Raises:
        ConfigError: The image has no light, or fewer than 8 pixels a side.
    """
    from scipy.ndimage import map_coordinates

    light = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if light.ndim == 2 and min(light.shape) >= 8:
        light = _without_neighbours(light - np.median(_edge(light)))
    if light.ndim != 2 or min(light.shape) < 8 or not 0 < light.sum() < np.inf:
        raise ConfigError(
            f"an image of {' x '.join(map(str, light.shape))} pixels is no galaxy if it is dark "
            "or tiny",
            code="galaxy-image",
        )
    y, x, half_light_radius = _centre_and_radius(light)
    step = GALAXY_WIDTH * max(half_light_radius, 0.5) / GALAXY_SIDE
    offsets = (np.arange(GALAXY_SIDE) - (GALAXY_SIDE - 1) / 2) * step
    points = np.meshgrid(y + offsets, x + offsets, indexing="ij")
    fine = map_coordinates(light, points, order=1, mode="constant")
    return (fine / fine.sum()).astype(np.float32)


def _centre_and_radius(light: np.ndarray) -> tuple[float, float, float]:
    """Return the row and column of the centre of light, and the half-light radius [pixels]."""
    rows, columns = np.indices(light.shape)
    y = (rows * light).sum() / light.sum()
    x = (columns * light).sum() / light.sum()
    radius = np.hypot(rows - y, columns - x).ravel()
    order = np.argsort(radius)
    growth = np.cumsum(light.ravel()[order])
    half = np.searchsorted(growth, 0.5 * light.sum())
    return y, x, radius[order][half]


def _edge(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def _without_neighbours(light: np.ndarray) -> np.ndarray:
    """Return the galaxy of an image without sky: without noise around it and without neighbours."""
    from scipy.ndimage import gaussian_filter, label

    smooth = gaussian_filter(light, 2.0)
    scatter = 1.4826 * np.median(np.abs(_edge(smooth) - np.median(_edge(smooth))))
    parts, _ = label(smooth > 3 * scatter)
    brightest = parts[np.unravel_index(smooth.argmax(), smooth.shape)]
    return np.maximum(np.where((parts == brightest) & (brightest > 0), light, 0), 0)


def brightness_at(
    images: np.ndarray, which: np.ndarray, column: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Return bilinear values of `images[which]`, and 0 beyond their edges.

    Args:
        images: Images (K, H, H).
        which: Rows of `images`, of a shape that broadcasts with the points.
        column: Columns of the points, in pixels from the middle.
        row: Rows of the points, in pixels from the middle.
    """
    side = images.shape[-1]
    flat = images.reshape(-1)
    x = column + (side - 1) / 2
    y = row + (side - 1) / 2
    j0 = np.floor(x).astype(np.int64)
    i0 = np.floor(y).astype(np.int64)
    u = x - j0
    v = y - i0

    def pixel(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        valid = (i >= 0) & (i < side) & (j >= 0) & (j < side)
        return np.where(valid, flat[np.where(valid, (which * side + i) * side + j, 0)], 0)

    lower = (1 - u) * pixel(i0, j0) + u * pixel(i0, j0 + 1)
    upper = (1 - u) * pixel(i0 + 1, j0) + u * pixel(i0 + 1, j0 + 1)
    return (1 - v) * lower + v * upper


def _files(path: Path) -> list[Path]:
    """Return the files that decide the galaxies, in order."""
    if path.is_dir():
        catalogues = sorted(path.glob("*catalog*.fits"))
        files = [file for file in catalogues if _stamps(file)]
        if not files:
            images = (file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
            files = sorted(images)
    elif path.exists():
        files = [path]
    else:
        raise ConfigError(f"{path} does not exist", code="galaxies-missing", path=path)
    if not files:
        raise ConfigError(
            f"{path} holds no {', '.join(_SUFFIXES)} file",
            code="galaxies-missing",
            path=path,
        )
    stamps = {stamp for file in files for stamp, _ in _stamps(file)}
    return sorted({*files, *stamps})


def _stamps(file: Path) -> list[tuple[Path, int]]:
    """Return files and units of the images that a catalogue in GalSim's layout lists; else none."""
    if file.suffix.lower() not in (".fits", ".fit"):
        return []
    with open_fits(file) as units:
        for unit in units:
            names = getattr(getattr(unit, "columns", None), "names", [])
            if "GAL_FILENAME" in names and "GAL_HDU" in names:
                return [
                    (file.parent / str(name).strip(), int(hdu))
                    for name, hdu in zip(
                        unit.data["GAL_FILENAME"], unit.data["GAL_HDU"], strict=True
                    )
                ]
    return []


def _digest(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


@lru_cache(maxsize=2)
def _load(path: str, sha256: str) -> np.ndarray:
    try:
        files = _files(Path(path))
        if _digest(files) != sha256:
            raise ConfigError(
                f"the galaxies in {path} are not those the data set was planned with (sha256 "
                "differs)",
                code="galaxies-differ",
                path=path,
            )
        pictures = _pictures(files)
    except (DataError, OSError) as error:
        raise ConfigError(
            f"cannot read the galaxies in {path}: {error}",
            code="galaxies-unreadable",
            path=path,
        ) from None
    if not 1 <= len(pictures) <= _MAX_GALAXIES:
        raise ConfigError(
            f"{path} holds {len(pictures)} images; give 1 to {_MAX_GALAXIES} galaxies",
            code="galaxy-count",
            path=path,
        )
    return np.stack([framed(picture) for picture in pictures])


def _pictures(files: list[Path]) -> list[np.ndarray]:
    listed = [stamp for file in files for stamp in _stamps(file)]
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
