"""Where backgrounds are, which of them each image shows, and at which place."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from lenssim.errors import ConfigError, DataError
from lenssim.names import printable
from lenssim.record import Record
from lenssim.simulate.backgrounds.cutout import (
    Cutout,
    band_folders,
    beside_files,
    check_scale,
    file_names,
    read_cutout,
    stamp_corners,
)
from lenssim.simulate.columns import Columns
from lenssim.simulate.instruments import MAX_BANDS, AnyCamera, Instrument, one_band
from lenssim.simulate.sources.splits import FEWEST, rows_of_split
from lenssim.simulate.streams import split_code

__all__ = ["COLUMNS", "Background", "background_of", "with_sky"]

COLUMNS = ("background_file", "background_row", "background_column")
MAX_FILES = 16384
ZeroPoint = Annotated[float, Field(ge=-10, le=50)]


class Background(Record):
    """A folder of cut-outs of blank sky, each with its noise map.

    Lens and source are added to a stamp of one of them, with the shot noise of their own
    light alone: the noise of the sky is in the cut-out. `zero_point` is the AB magnitude of
    one unit of the cut-outs; without it they are in e-/s. For a camera of several bands the
    folder has a folder for each band, with files of the same names: `bands` names them, and
    `zero_point` may be stated by band. All bands of a file show the same place. The hash of a file decides its
    split, so that no two splits share one. `files` holds the name and the sha256 of each,
    in order; `path` is empty where a data set's own record is read.
    """

    path: str = ""
    zero_point: ZeroPoint | dict[str, ZeroPoint] | None = None
    bands: tuple[str, ...] = Field(default=(), max_length=MAX_BANDS)
    files: tuple[tuple[str, str], ...] = Field(default=(), max_length=MAX_FILES)

    @model_validator(mode="before")
    @classmethod
    def _with_hashes(cls, data: object, info: ValidationInfo) -> object:
        if isinstance(data, str):
            data = {"path": data}
        if not isinstance(data, dict) or data.get("files"):
            return data
        if not isinstance(data.get("path"), str):
            return data
        folder = (info.context or {}).get("folder", ".")
        path = Path(folder, data["path"]).expanduser().resolve()
        if not path.is_dir():
            raise ValueError(f"{path} is no folder of cut-outs")
        bands, files = _listed(path)
        if not files:
            raise ValueError(f"{path} holds no .fits or .npy file")
        return {**data, "path": str(path), "bands": bands, "files": files}

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out bands that there are not, as documents of one band do."""
        document: dict[str, Any] = handler(self)
        if not self.bands:
            document.pop("bands", None)
        return document

    def at(self, path: str | Path) -> "Background":
        """Return the same cut-outs, which are at `path` now."""
        return self.model_copy(update={"path": str(Path(path).expanduser().resolve())})

    def cutouts(
        self, number: int, camera: AnyCamera
    ) -> tuple[tuple[Cutout, ...], np.ndarray]:
        """Return the cut-out of each band, and the corners (K, 2) of the stamps that they have.

        Args:
            number: Number of its file.
            camera: The camera whose stamps are cut out.

        Raises:
            ConfigError: A file is missing or has changed, has no stamp without masked pixels,
                or the camera has other bands.
        """
        name, sha256 = self.files[number]
        paths = _paths(Path(self.path), self.bands, name)
        shown = self._bands_of(camera)
        if not self.path or not all(path.is_file() for path in paths):
            where = f"not at {self.path}" if self.path else "at a place that is not known"
            raise ConfigError(
                f"the background {name} is {where}; give --background FOLDER, where it is now",
                code="background-missing",
                name=name,
                path=self.path,
            )
        return _load(paths, shown, sha256, camera.pixel_scale, camera.num_pix)

    def _bands_of(self, camera: AnyCamera) -> tuple[int, ...]:
        """Return the number of the folder that each of a camera's bands shows."""
        if not self.bands:
            one_band(camera, "a background without folders of bands shows")
            return (0,)
        for band in camera.band_names or ("",):
            if band not in self.bands:
                raise ConfigError(
                    f"the background has the bands {', '.join(self.bands)}, and "
                    f"{printable(camera.name)} has {', '.join(camera.band_names) or 'one'}",
                    code="unknown-band",
                    bands=self.bands,
                )
        return tuple(self.bands.index(band) for band in camera.band_names)

    def of(self, split: str) -> np.ndarray:
        """Return the numbers of the files that a split may show.

        Raises:
            ConfigError: There are none.
        """
        rows = rows_of_split([sha256 for _, sha256 in self.files], split_code(split))
        if not len(rows):
            raise ConfigError(
                f"{len(self.files)} backgrounds, none of them for the split {split!r}: every "
                f"tenth is, so give at least {FEWEST}",
                code="too-few-backgrounds",
                split=split,
            )
        return rows

    def draw(
        self, columns: Columns, rng: np.random.Generator, camera: AnyCamera, split: str
    ) -> None:
        """Draw the file and the place of each image's background, as columns.

        Args:
            columns: The columns (n,) being drawn.
            rng: The random stream of backgrounds.
            camera: The camera.
            split: The split.

        Raises:
            ConfigError: A file is missing, has changed or has no stamp.
        """
        choices = self.of(split)
        numbers = choices[rng.integers(len(choices), size=columns.n)]
        places = rng.random(columns.n)
        numbers = columns.put(COLUMNS[0], numbers.astype(np.float64))
        corners = np.zeros((columns.n, 2))
        for row, (number, place) in enumerate(zip(numbers, places, strict=True)):
            corners[row] = self._corner(number, place, camera)
        columns.put(COLUMNS[1], corners[:, 0])
        columns.put(COLUMNS[2], corners[:, 1])

    def _corner(self, number: float, place: float, camera: AnyCamera) -> np.ndarray:
        """Return the corner (2,) of the stamp of a file at a place from 0 to 1."""
        _, stamps = self.cutouts(self._number(number), camera)
        return np.asarray(stamps[int(place * len(stamps))])

    def _number(self, value: float) -> int:
        if not (value == int(value) and 0 <= value < len(self.files)):
            raise ConfigError(
                f"background_file must be a whole number from 0 to {len(self.files) - 1}, "
                f"got {value:g}",
                code="out-of-bounds",
                name="background_file",
            )
        return int(value)

    def stamps(
        self, params: dict[str, np.ndarray], camera: AnyCamera
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the sky and its noise map of each image, both (N, C, H, W) in e-/s.

        Args:
            params: Columns (N,) of the scenes.
            camera: The camera.

        Raises:
            ConfigError: A file is missing or has changed, or a place lies beyond it.
        """
        side = camera.num_pix
        count = len(params[COLUMNS[0]])
        bands = camera.instruments
        skies = np.empty((2, count, len(bands), side, side))
        for row in range(count):
            number, y, x = (int(params[name][row]) for name in COLUMNS)
            cutouts, _ = self.cutouts(self._number(number), camera)
            self._check_place(number, cutouts[0], (y, x), side)
            window = (slice(y, y + side), slice(x, x + side))
            for band, cutout in enumerate(cutouts):
                skies[0, row, band] = cutout.image[window]
                skies[1, row, band] = cutout.sigma[window]
        skies *= self._units(camera)
        return skies[0], skies[1]

    def _units(self, camera: AnyCamera) -> np.ndarray:
        """Return what one unit of the cut-outs is in e-/s of the camera, (C, 1, 1)."""
        bands = zip(camera.band_names or ("",), camera.instruments, strict=True)
        units = [self._unit(*band) for band in bands]
        return np.array(units)[:, None, None]

    def _check_place(
        self, number: int, cutout: Cutout, corner: tuple[int, int], side: int
    ) -> None:
        row, column = corner
        height, width = cutout.image.shape
        if min(corner) >= 0 and row + side <= height and column + side <= width:
            return
        raise ConfigError(
            f"the background {self.files[number][0]} has no stamp of {side} pixels at row {row}, "
            f"column {column}",
            code="background-place",
            row=row,
            column=column,
        )

    def _unit(self, band: str, instrument: Instrument) -> float:
        """Return what one unit of the cut-outs of a band is in e-/s of the camera."""
        zero_point = self.zero_point
        if isinstance(zero_point, dict):
            zero_point = zero_point.get(band)
        if zero_point is None:
            return 1.0
        if instrument.zero_point is None:
            raise ConfigError(
                "the zero_point of backgrounds needs an instrument with a zero_point",
                code="no-zero-point",
            )
        return 10 ** (-0.4 * (zero_point - instrument.zero_point))


def background_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the record of backgrounds without where they lie, which is no part of a data set."""
    return {name: value for name, value in document.items() if name != "path"}


def with_sky(params: dict[str, np.ndarray]) -> bool:
    """Return whether scenes have a background."""
    return COLUMNS[0] in params


def _paths(folder: Path, bands: tuple[str, ...], name: str) -> tuple[Path, ...]:
    """Return the file of a name in each folder of a band, or in the folder itself."""
    if not bands:
        return (folder / name,)
    return tuple(folder / band / name for band in bands)


def _listed(path: Path) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return the folders of bands, and the name and hash of each cut-out."""
    try:
        bands = band_folders(path)
        names = file_names(path, bands)
        return bands, [(name, _digest(_paths(path, bands, name))) for name in names]
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _digest(files: tuple[Path, ...]) -> str:
    total = hashlib.sha256()
    for part in (part for file in files for part in beside_files(file)):
        with part.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _load(
    files: tuple[Path, ...],
    shown: tuple[int, ...],
    sha256: str,
    pixel_scale: float,
    side: int,
) -> tuple[tuple[Cutout, ...], np.ndarray]:
    """Return the cut-outs of the bands that are shown, and the corners of their stamps."""
    cutouts = []
    try:
        if _digest(files) != sha256:
            raise ConfigError(
                f"the background {files[0]} is not the one that the data set was planned with "
                "(sha256 differs)",
                code="background-differs",
                path=files[0],
            )
        for number in shown:
            cutouts.append(read_cutout(files[number]))
            check_scale(cutouts[-1], pixel_scale, str(files[number]))
    except (DataError, OSError) as error:
        raise ConfigError(
            f"cannot read a background: {error}",
            code="background-unreadable",
            path=files[0],
        ) from None
    corners = stamp_corners(cutouts, side)
    if not len(corners):
        shapes = {" x ".join(map(str, cutout.image.shape)) for cutout in cutouts}
        raise ConfigError(
            f"the background {files[0]} of {' and '.join(sorted(shapes))} pixels has no stamp "
            f"of {side} x {side} without masked pixels: leave it out, or take smaller stamps",
            code="background-place",
            path=files[0],
        )
    return tuple(cutouts), corners
