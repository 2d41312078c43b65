"""Images of real galaxies as sources: read from files, and brought to one frame in units of their half-light radius."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

from lenssim.errors import ConfigError, DataError
from lenssim.formats.fits import open_fits, read_fits_images
from lenssim.formats.npy import load_npy
from lenssim.simulate.streams import split_code

__all__ = ["GALAXY_SIDE", "GALAXY_WIDTH", "Galaxies", "brightness_at", "framed"]

GALAXY_SIDE = 128  # pixels
GALAXY_WIDTH = 10.0  # half-light radii across the frame
_MOST = 16384  # galaxies, of 64 kB each
_IMAGES = (".npy", ".fits", ".fit")


class Galaxies(BaseModel):
    """Where images of galaxies lie, relative to the preset's own file.

    `path` is a .npy file (K, H, W), a .fits file of one or more images, a catalogue in GalSim's real-galaxy layout, or
    a folder of any of these. What they hold decides every image, so that the `sha256` of their contents stays with the
    data set: files that have changed are refused. The `path` is empty where a data set's own record is read: it names
    contents only, and `Preset.with_galaxies` says where they are. Of every ten galaxies one is for the split
    `validation`, one for `test`, the others for `train`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = ""
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _found(cls, data: object, info: ValidationInfo) -> object:
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
        """Return the same galaxies, which lie at `path` now."""
        return self.model_copy(update={"path": str(Path(path).expanduser().resolve())})

    def images(self) -> np.ndarray:
        """All galaxies, framed: float32 (K, GALAXY_SIDE, GALAXY_SIDE). `ConfigError` if the files have changed."""
        if not self.path:
            raise ConfigError(
                f"the images of galaxies with the sha256 {self.sha256[:16]}... are needed, and it is not known where "
                "they are; give --galaxies PATH"
            )
        if not Path(self.path).exists():
            raise ConfigError(
                f"the galaxies are not at {self.path}; give --galaxies PATH, where they are now"
            )
        return _load(self.path, self.sha256)

    def of(self, split: str) -> np.ndarray:
        """Places in `images` of those that a split may show; `ConfigError` if there are none."""
        places = np.arange(len(self.images()))
        code = split_code(split)
        own = places[places % 10 == 7 + code] if code else places[places % 10 < 8]
        if not len(own):
            raise ConfigError(
                f"{self.path} holds {len(places)} galaxies, none of them for the split {split!r}: every tenth is, "
                "so give at least 10"
            )
        return own


def framed(image: np.ndarray) -> np.ndarray:
    """A galaxy (H, W) in the common frame: GALAXY_WIDTH half-light radii wide, about its centre of light, of sum 1.

    The median of the outermost pixels is taken off; the galaxy is what hangs together with the brightest pixel above
    three times their scatter, both smoothed by two pixels. Pixels are resampled bilinearly and light beyond the frame
    is lost. `ConfigError` for what has no light or fewer than 8 pixels a side.
    """
    from scipy.ndimage import map_coordinates

    light = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if light.ndim == 2 and min(light.shape) >= 8:
        light = _alone(light - np.median(_edge(light)))
    if light.ndim != 2 or min(light.shape) < 8 or not 0 < light.sum() < np.inf:
        raise ConfigError(
            f"an image of {' x '.join(map(str, light.shape))} pixels is no galaxy if it is dark or tiny"
        )
    rows, columns = np.indices(light.shape)
    y = (rows * light).sum() / light.sum()
    x = (columns * light).sum() / light.sum()
    radius = np.hypot(rows - y, columns - x).ravel()
    order = np.argsort(radius)
    half = radius[order][
        np.searchsorted(np.cumsum(light.ravel()[order]), 0.5 * light.sum())
    ]
    step = GALAXY_WIDTH * max(half, 0.5) / GALAXY_SIDE
    places = (np.arange(GALAXY_SIDE) - (GALAXY_SIDE - 1) / 2) * step
    fine = map_coordinates(
        light, np.meshgrid(y + places, x + places, indexing="ij"), order=1, mode="constant"
    )
    return (fine / fine.sum()).astype(np.float32)


def _edge(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def _alone(light: np.ndarray) -> np.ndarray:
    """The galaxy of an image without sky: no noise about it, and no neighbours."""
    from scipy.ndimage import gaussian_filter, label

    smooth = gaussian_filter(light, 2.0)
    scatter = 1.4826 * np.median(np.abs(_edge(smooth) - np.median(_edge(smooth))))
    parts, _ = label(smooth > 3 * scatter)
    own = parts[np.unravel_index(smooth.argmax(), smooth.shape)]
    return np.maximum(np.where((parts == own) & (own > 0), light, 0), 0)


def brightness_at(
    images: np.ndarray, which: np.ndarray, column: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Bilinear values of `images[which]` at pixels counted from their middle, and 0 beyond; the rest broadcasts."""
    side = images.shape[-1]
    flat = images.reshape(-1)
    x = column + (side - 1) / 2
    y = row + (side - 1) / 2
    left = np.floor(x).astype(np.int64)
    low = np.floor(y).astype(np.int64)
    u = x - left
    v = y - low

    def pixel(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        inside = (i >= 0) & (i < side) & (j >= 0) & (j < side)
        return np.where(inside, flat[np.where(inside, (which * side + i) * side + j, 0)], 0)

    below = (1 - u) * pixel(low, left) + u * pixel(low, left + 1)
    return (1 - v) * below + v * (
        (1 - u) * pixel(low + 1, left) + u * pixel(low + 1, left + 1)
    )


def _files(path: Path) -> list[Path]:
    """The files that decide what the galaxies are, in order."""
    if path.is_dir():
        catalogues = sorted(path.glob("*catalog*.fits"))
        found = [file for file in catalogues if _stamps(file)] or sorted(
            file for file in path.iterdir() if file.suffix.lower() in _IMAGES
        )
    elif path.exists():
        found = [path]
    else:
        raise ConfigError(f"{path} does not exist")
    if not found:
        raise ConfigError(f"{path} holds no {', '.join(_IMAGES)} file")
    return sorted(
        {file for each in found for file in (each, *(stamp for stamp, _ in _stamps(each)))}
    )


def _stamps(file: Path) -> list[tuple[Path, int]]:
    """Files and units of the images that a catalogue in GalSim's layout lists; none if it is not one."""
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
                f"the galaxies in {path} are not those the data set was planned with (sha256 differs)"
            )
        pictures = _pictures(files)
    except (DataError, OSError) as error:
        raise ConfigError(f"cannot read the galaxies in {path}: {error}") from None
    if not 1 <= len(pictures) <= _MOST:
        raise ConfigError(
            f"{path} holds {len(pictures)} images; give 1 to {_MOST} galaxies"
        )
    return np.stack([framed(picture) for picture in pictures])


def _pictures(files: list[Path]) -> list[np.ndarray]:
    listed = [stamp for file in files for stamp in _stamps(file)]
    if listed:
        return _units(listed)
    return [image for file in files for image in _images_of(file)]


def _units(listed: list[tuple[Path, int]]) -> list[np.ndarray]:
    """The images that a catalogue lists, in its order, each file opened once."""
    images: dict[tuple[Path, int], np.ndarray] = {}
    for file in dict.fromkeys(file for file, _ in listed):
        with open_fits(file) as units:
            for number in {unit for other, unit in listed if other == file}:
                if (
                    not 0 <= number < len(units)
                    or not units[number].is_image
                    or units[number].data is None
                ):
                    raise DataError(
                        f"{file} has no image as its unit {number}, which the catalogue lists"
                    )
                images[file, number] = np.asarray(units[number].data, dtype=np.float64)
    return [images[stamp] for stamp in listed]


def _images_of(file: Path) -> list[np.ndarray]:
    """All images (H, W) of a file, from arrays of two axes or more."""
    arrays = [load_npy(file)] if file.suffix.lower() == ".npy" else read_fits_images(file)
    images: list[np.ndarray] = []
    for array in arrays:
        if isinstance(array, list):
            raise DataError(
                f"{file}: galaxies are given as an array (H, W) or (K, H, W) of numbers"
            )
        if np.ndim(array) > 2:
            images += list(np.reshape(array, (-1, *array.shape[-2:])))
        else:
            images.append(np.asarray(array))
    return images
