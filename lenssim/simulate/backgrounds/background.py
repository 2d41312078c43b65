"""Where backgrounds are, which of them each image shows, and at which place."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationInfo, model_validator

from lenssim.errors import ConfigError, DataError
from lenssim.record import Record
from lenssim.simulate.backgrounds.cutout import (
    Cutout,
    beside_files,
    check_scale,
    cutout_files,
    read_cutout,
)
from lenssim.simulate.columns import Columns
from lenssim.simulate.instruments import AnyCamera, Instrument, one_band
from lenssim.simulate.sources.splits import FEWEST, rows_of_split
from lenssim.simulate.streams import split_code

__all__ = ["COLUMNS", "Background", "background_of", "with_sky"]

COLUMNS = ("background_file", "background_row", "background_column")
MAX_FILES = 16384


class Background(Record):
    """A folder of cut-outs of blank sky, each with its noise map.

    Lens and source are added to a stamp of one of them, with the shot noise of their own
    light alone: the noise of the sky is in the cut-out. `zero_point` is the AB magnitude of
    one unit of the cut-outs; without it they are in e-/s. The hash of a file decides its
    split, so that no two splits share one. `files` holds the name and the sha256 of each,
    in order; `path` is empty where a data set's own record is read.
    """

    path: str = ""
    zero_point: float | None = Field(default=None, ge=-10, le=50)
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
        try:
            files = [(file.name, _digest(file)) for file in cutout_files(path)]
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None
        if not files:
            raise ValueError(f"{path} holds no .fits or .npy file")
        return {**data, "path": str(path), "files": files}

    def at(self, path: str | Path) -> "Background":
        """Return the same cut-outs, which are at `path` now."""
        return self.model_copy(update={"path": str(Path(path).expanduser().resolve())})

    def cutout(self, number: int, camera: Instrument) -> tuple[Cutout, np.ndarray]:
        """Return a cut-out, and the corners (K, 2) of the stamps that it has.

        Args:
            number: Number of its file.
            camera: The camera whose stamps are cut out.

        Raises:
            ConfigError: The file is missing or has changed, or has no stamp without masked
                pixels.
        """
        name, sha256 = self.files[number]
        if not self.path or not Path(self.path, name).is_file():
            where = f"not at {self.path}" if self.path else "at a place that is not known"
            raise ConfigError(
                f"the background {name} is {where}; give --background FOLDER, where it is now",
                code="background-missing",
                name=name,
                path=self.path,
            )
        return _load(Path(self.path, name), sha256, camera.pixel_scale, camera.num_pix)

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
        instrument = one_band(camera, "a background shows")
        choices = self.of(split)
        numbers = choices[rng.integers(len(choices), size=columns.n)]
        places = rng.random(columns.n)
        numbers = columns.put(COLUMNS[0], numbers.astype(np.float64))
        corners = np.zeros((columns.n, 2))
        for row, (number, place) in enumerate(zip(numbers, places, strict=True)):
            _, stamps = self.cutout(self._number(number), instrument)
            corners[row] = stamps[int(place * len(stamps))]
        columns.put(COLUMNS[1], corners[:, 0])
        columns.put(COLUMNS[2], corners[:, 1])

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
        """Return the sky and its noise map of each image, both (N, 1, H, W) in e-/s.

        Args:
            params: Columns (N,) of the scenes.
            camera: The camera.

        Raises:
            ConfigError: A file is missing or has changed, or a place lies beyond it.
        """
        instrument = one_band(camera, "a background shows")
        side = instrument.num_pix
        count = len(params[COLUMNS[0]])
        skies = np.empty((2, count, 1, side, side))
        for row in range(count):
            number, y, x = (int(params[name][row]) for name in COLUMNS)
            cutout, _ = self.cutout(self._number(number), instrument)
            window = (slice(y, y + side), slice(x, x + side))
            for target, source in zip(skies, (cutout.image, cutout.sigma), strict=True):
                stamp = source[window]
                if min(y, x) < 0 or stamp.shape != (side, side):
                    raise ConfigError(
                        f"the background {self.files[number][0]} has no stamp of {side} pixels at "
                        f"row {y}, column {x}",
                        code="background-place",
                        row=y,
                        column=x,
                    )
                target[row, 0] = stamp
        return skies[0] * self._unit(instrument), skies[1] * self._unit(instrument)

    def _unit(self, instrument: Instrument) -> float:
        """Return what one unit of the cut-outs is in e-/s of the camera."""
        if self.zero_point is None:
            return 1.0
        if instrument.zero_point is None:
            raise ConfigError(
                "the zero_point of backgrounds needs an instrument with a zero_point",
                code="no-zero-point",
            )
        return 10 ** (-0.4 * (self.zero_point - instrument.zero_point))


def background_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the record of backgrounds without where they lie, which is no part of a data set."""
    return {name: value for name, value in document.items() if name != "path"}


def with_sky(params: dict[str, np.ndarray]) -> bool:
    """Return whether scenes have a background."""
    return COLUMNS[0] in params


def _digest(file: Path) -> str:
    total = hashlib.sha256()
    for part in beside_files(file):
        with part.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _load(
    file: Path, sha256: str, pixel_scale: float, side: int
) -> tuple[Cutout, np.ndarray]:
    try:
        if _digest(file) != sha256:
            raise ConfigError(
                f"the background {file} is not the one that the data set was planned with "
                "(sha256 differs)",
                code="background-differs",
                path=file,
            )
        cutout = read_cutout(file)
        check_scale(cutout, pixel_scale, str(file))
    except (DataError, OSError) as error:
        raise ConfigError(
            f"cannot read a background: {error}", code="background-unreadable", path=file
        ) from None
    corners = cutout.corners(side)
    if not len(corners):
        height, width = cutout.image.shape
        raise ConfigError(
            f"the background {file} of {height} x {width} pixels has no stamp of {side} x {side} "
            "without masked pixels: leave it out, or take smaller stamps",
            code="background-place",
            path=file,
        )
    return cutout, corners
