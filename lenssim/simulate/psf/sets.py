"""Sets of kernels: each image has one of them, and the scenes say which."""

from functools import lru_cache
from pathlib import Path
from typing import Any, override

import numpy as np
from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lenssim.formats.files import is_image_name, is_passed_over
from lenssim.simulate.packing import is_packed, pack, packed_shape, unpack
from lenssim.simulate.psf.kernels import (
    SUM_TOLERANCE,
    check_kernel,
    mended,
    note_sum,
    read_kernels,
)
from lenssim.simulate.psf.pixel import MENDING, PixelPSF, folder_of
from lenssim.simulate.psf.point_spread import PointSpread

__all__ = ["SetPSF"]


class SetPSF(PointSpread):
    """Several kernels of one size; each image draws one, the column `psf_index`.

    `kernels` names the files: one .npy or FITS file of several kernels (M, K, K), a folder of
    files, or a list of files, relative to the preset's own file. Their numbers are taken over.
    `normalise`, `recentre` and `crop` mend them as they mend a single kernel.

    Example:
        >>> cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8
        >>> SetPSF(kernels=np.stack([cross, np.eye(3) / 3])).count
        2
    """

    kernels: str = Field(repr=False)
    supersampling: int = Field(default=1, ge=1, le=12)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict) or "kernels" not in data:
            return data
        options = {name: data[name] for name in MENDING if name in data}
        data = {name: value for name, value in data.items() if name not in MENDING}
        kernels = data["kernels"]
        if is_packed(kernels):
            return data  # of a plan
        data["kernels"] = pack(_stack(_named(kernels, folder_of(info)), options))
        return data

    @field_validator("kernels")
    @classmethod
    def _is_whole(cls, text: str) -> str:
        if len(packed_shape(text)) != 3:
            raise ValueError("a set has kernels of rows and columns")
        for number, kernel in enumerate(unpack(text)):
            check_kernel(kernel, f"kernel {number}")
        return text

    @property
    def count(self) -> int:
        """Number of kernels."""
        return packed_shape(self.kernels)[0]

    def stack(self) -> np.ndarray:
        """Return all kernels, float64 (M, K, K)."""
        return _unpacked(self.kernels)

    @property
    @override
    def column(self) -> str | None:
        return "psf_index"

    @override
    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return rng.integers(self.count, size=count).astype(np.float64)

    @override
    def value_bounds(self) -> tuple[float, float]:
        return 0.0, float(self.count - 1)

    @override
    def at(self, value: float) -> PixelPSF:
        kernel = self.stack()[int(value)]
        rows = tuple(map(tuple, kernel.tolist()))
        return PixelPSF.model_construct(kernel=rows, supersampling=self.supersampling)

    @override
    def fixed(self) -> PixelPSF:
        return self.at(0)

    @override
    def kernel_at(self, pixel_scale: float) -> np.ndarray:
        return self.stack()[0]


@lru_cache(maxsize=8)
def _unpacked(text: str) -> np.ndarray:
    return unpack(text)


def _named(kernels: Any, folder: Path) -> list[tuple[str, np.ndarray]]:
    """Return the kernels that a preset names, each with what to call it."""
    if isinstance(kernels, np.ndarray):
        return [(f"kernel {number}", kernel) for number, kernel in enumerate(kernels)]
    if isinstance(kernels, str | Path):
        kernels = _files(folder / kernels)
    if not isinstance(kernels, list | tuple) or not kernels:
        raise ValueError("kernels are the name of a file or folder, or a list of files")
    named: list[tuple[str, np.ndarray]] = []
    for file in kernels:
        if not isinstance(file, str | Path):
            raise ValueError(f"kernels are files, got {file!r}")
        path = folder / file
        stack = read_kernels(path)
        for number, kernel in enumerate(stack):
            name = f"the kernel {path.name}"
            if len(stack) > 1:
                name = f"kernel {number} of {path.name}"
            named.append((name, kernel))
    return named


def _files(path: Path) -> list[Path]:
    """Return the files of a folder that hold images, or the file itself."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if not is_passed_over(file.name))
    return [file for file in files if is_image_name(file.name)]


def _stack(named: list[tuple[str, np.ndarray]], options: dict[str, Any]) -> np.ndarray:
    """Return mended kernels (M, K, K), the smaller ones padded by zeros.

    Raises:
        ValueError: Some cannot be mended; the message names them all.
    """
    kernels: list[np.ndarray] = []
    problems: list[str] = []
    totals: list[float] = []
    silent = (
        options if options.get("normalise") is False else {**options, "normalise": True}
    )
    for name, kernel in named:
        try:
            kernels.append(mended(kernel, name, **silent))
            totals.append(kernel.sum())
        except ValueError as error:
            problems.append(str(error))
    if problems:
        more = ""
        if len(problems) > 1:
            more = f"; so are {len(problems) - 1} more of {len(named)} kernels of the set"
        raise ValueError(problems[0] + more)
    if (
        options.get("normalise") is None
        and np.abs(np.array(totals) - 1).max() > SUM_TOLERANCE
    ):
        kinds = f"{min(totals):.4g} to {max(totals):.4g}"
        note_sum(f"each of {len(totals)} kernels such as {named[0][0]}", kinds)
    side = max(len(kernel) for kernel in kernels)
    padded = [np.pad(kernel, (side - len(kernel)) // 2) for kernel in kernels]
    return np.stack(padded)
