"""The PSF as an image: one kernel, in numbers or from a file."""

from pathlib import Path
from typing import Annotated, Any, override

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from lenssim.simulate.psf.kernels import (
    SUM_TOLERANCE,
    check_kernel,
    cropped,
    mended,
    normalised,
    read_kernels,
)
from lenssim.simulate.psf.point_spread import PointSpread

__all__ = ["MENDING", "PixelPSF", "folder_of"]

MENDING = ("normalise", "recentre", "crop")  # options that a preset says and no plan keeps


def folder_of(info: ValidationInfo) -> Path:
    """Return the folder of the file that a path in it is relative to."""
    return Path((info.context or {}).get("folder", "."))


def _as_rows(kernel: Any) -> Any:
    """Return an array as rows of numbers; leave anything else alone."""
    if isinstance(kernel, np.ndarray):
        return kernel.astype(np.float64).tolist()
    return kernel


class PixelPSF(PointSpread):
    """A PSF given as an image: `kernel` (K, K), K odd, its pixels `supersampling` times finer.

    The kernel is given as rows of numbers, or as the path of a .npy or FITS file (relative to
    the preset's own file) whose numbers are taken over. Of a file, negative pixels below a
    thousandth of the peak become 0. A kernel whose sum is not 1 is divided by it, with a note;
    `normalise: true` does so without one, `normalise: false` refuses it. `recentre: true`
    moves the centroid to the middle. `crop: K` takes the middle K x K pixels.

    Example:
        >>> PixelPSF(kernel=[[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]]).array().shape
        (3, 3)
    """

    kernel: Annotated[tuple[tuple[float, ...], ...], BeforeValidator(_as_rows)]
    supersampling: int = Field(default=1, ge=1, le=12)

    @model_validator(mode="before")
    @classmethod
    def _mend(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict) or "kernel" not in data:
            return data
        options = {name: data[name] for name in MENDING if name in data}
        data = {name: value for name, value in data.items() if name not in MENDING}
        if isinstance(data["kernel"], str | Path):
            data["kernel"] = _from_file(folder_of(info) / data["kernel"], options)
        else:
            data["kernel"] = _from_numbers(data["kernel"], options)
        return data

    @model_validator(mode="after")
    def _is_usable(self) -> "PixelPSF":
        widths = {len(row) for row in self.kernel}
        if widths != {len(self.kernel)}:
            raise ValueError(
                f"a PSF kernel must be square, got {len(self.kernel)} rows of "
                f"{sorted(widths)} numbers"
            )
        check_kernel(self.array())
        return self

    def array(self) -> np.ndarray:
        """Return the kernel, float64 (K, K)."""
        return np.array(self.kernel)

    @override
    def kernel_at(self, pixel_scale: float) -> np.ndarray:
        return self.array()


def _from_file(path: Path, options: dict[str, Any]) -> np.ndarray:
    kernels = read_kernels(path)
    if len(kernels) > 1:
        raise ValueError(
            f"{path} holds {len(kernels)} kernels; `kernels` instead of `kernel` takes all "
            "of them, as a set"
        )
    return mended(kernels[0], f"the kernel {path.name}", **options)


def _from_numbers(rows: Any, options: dict[str, Any]) -> Any:
    """Return rows of numbers that sum to 1; numbers of a plan stay as they are."""
    try:
        kernel = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        return rows  # pydantic says what is wrong
    if kernel.ndim != 2:
        return rows
    if options.get("recentre") or options.get("crop"):
        return mended(kernel, "a PSF kernel", **options)
    check_kernel(cropped(kernel, None))
    if options.get("normalise"):
        return normalised(kernel)
    if abs(kernel.sum() - 1) <= SUM_TOLERANCE:
        return rows
    return mended(kernel, "a PSF kernel", **options)
