"""Point-spread functions: how a camera spreads the light of a point."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)

from lenssim.errors import DataError
from lenssim.formats.files import is_image_name, read_content
from lenssim.record import Record

__all__ = ["PSF", "PSF_KINDS", "GaussianPSF", "PixelPSF"]

_LARGEST_SIDE = 1023  # pixels of a kernel from a file
_NORMALISED = 1e-6  # how far from 1 a kernel may sum, for its last digits


class GaussianPSF(Record):
    """A Gaussian PSF: full width at half maximum in arcsec, cut at `truncation` standard deviations.

    Applied as lenstronomy applies it: scipy's `gaussian_filter` on the stamp, edges continued (mode "nearest").
    """

    fwhm: float = Field(ge=1e-4, le=1e4)
    truncation: float = Field(default=5.0, ge=0.1, le=20)

    @property
    def supersampling(self) -> int:
        """How many times finer than the camera's pixels it is applied: at the pixels themselves."""
        return 1


def _rows(kernel: Any, info: ValidationInfo) -> Any:
    if isinstance(kernel, str):
        kernel = _read(Path((info.context or {}).get("folder", "."), kernel))
    return (
        np.asarray(kernel, dtype=np.float64).tolist()
        if isinstance(kernel, np.ndarray)
        else kernel
    )


def _read(path: Path) -> np.ndarray:
    """The kernel (K, K) of a file, axes of length one left out."""
    if not is_image_name(path.name):
        raise ValueError(
            f"a kernel is a .npy or .fits file or rows of numbers, got {str(path)!r}"
        )
    try:
        kernel = read_content(path).value
    except DataError as error:
        raise ValueError(f"cannot read the kernel: {error}") from None
    if isinstance(kernel, list):
        raise ValueError(
            f"cannot read the kernel {path}: it holds an array of objects, not of numbers"
        )
    while kernel.ndim > 2 and 1 in kernel.shape:
        kernel = kernel.squeeze(kernel.shape.index(1))
    if kernel.ndim != 2 or max(kernel.shape) > _LARGEST_SIDE:
        raise ValueError(
            f"cannot read the kernel {path}: a PSF kernel has rows and columns, at most {_LARGEST_SIDE} of each, "
            f"got shape {kernel.shape}"
        )
    return kernel


class PixelPSF(Record):
    """A PSF given as an image: `kernel` (K, K), K odd, its pixels `supersampling` times finer than the camera's.

    The kernel is given as rows of numbers, or as the path of a .npy or .fits file (relative to the preset's own
    file) whose numbers are taken over. It must sum to 1; `normalise: true` divides it by its sum. Images are
    convolved with it at its own sampling, no light coming in from beyond the stamp, and then binned.
    """

    kernel: Annotated[tuple[tuple[float, ...], ...], BeforeValidator(_rows)]
    supersampling: int = Field(default=1, ge=1, le=12)

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict) or "normalise" not in data:
            return data
        data = dict(data)
        if data.pop("normalise") and "kernel" in data:
            kernel = np.asarray(_rows(data["kernel"], info), dtype=np.float64)
            if kernel.sum() > 0:
                data["kernel"] = kernel / kernel.sum()
        return data

    @model_validator(mode="after")
    def _usable(self) -> "PixelPSF":
        shape = {len(row) for row in self.kernel}
        if len(shape) != 1 or shape != {len(self.kernel)}:
            raise ValueError(
                f"a PSF kernel must be square, got {len(self.kernel)} rows of {sorted(shape)} numbers"
            )
        if len(self.kernel) % 2 == 0:
            raise ValueError(
                f"a PSF kernel must have an odd number of pixels a side, so that it has a middle, "
                f"got {len(self.kernel)}; resample or crop it"
            )
        array = self.array()
        if not np.isfinite(array).all():
            raise ValueError("a PSF kernel must hold finite numbers")
        if abs(array.sum() - 1) > _NORMALISED:
            raise ValueError(
                f"a PSF kernel must sum to 1, got {array.sum():g}; divide it by its sum, or say normalise: true"
            )
        return self

    def array(self) -> np.ndarray:
        """The kernel, float64 (K, K)."""
        return np.array(self.kernel)


def _kind(psf: Any) -> str | None:
    """Which kind of PSF a mapping of keys states; None if it states none, or both."""
    if isinstance(psf, BaseModel):
        return "gaussian" if isinstance(psf, GaussianPSF) else "pixels"
    keys = set(psf) if isinstance(psf, dict) else set()
    if ("fwhm" in keys) == ("kernel" in keys):
        return None
    return "gaussian" if "fwhm" in keys else "pixels"


PSF_KINDS = {"gaussian": GaussianPSF, "pixels": PixelPSF}
PSF = Annotated[
    Annotated[GaussianPSF, Tag("gaussian")] | Annotated[PixelPSF, Tag("pixels")],
    Discriminator(
        _kind,
        custom_error_type="psf_kind",
        custom_error_message="give either fwhm (a Gaussian, in arcsec) or kernel (an image)",
    ),
]
