"""Correlated noise as it was measured: a correlation function or a power spectrum."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from lenssim.errors import DataError
from lenssim.formats.files import read_content
from lenssim.record import Record
from lenssim.simulate.packing import is_packed, pack, unpack

__all__ = ["MeasuredNoise", "read_square"]

_MAX_SIDE = 1023
_ASYMMETRY = 1e-3  # of rho(x) and rho(-x)


class MeasuredNoise(Record):
    """A correlation function of noise, at the pixels of the image.

    `correlation` names a .npy or FITS file of rho (K, K), K odd, with its peak in the middle;
    GalSim's files of correlated noise are such. `power` names one of a power spectrum (K, K)
    in the order of numpy's `fft2`. Only their shapes count: they are divided by the variance.
    Their numbers are taken over.

    Example:
        >>> rho = np.array([[0, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 0]])
        >>> MeasuredNoise(correlation=rho).loss.__round__(4)
        0.7071
    """

    correlation: str = Field(repr=False)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        if ("correlation" in data) == ("power" in data):
            raise ValueError("give either correlation or power, the name of a file")
        folder = Path((info.context or {}).get("folder", "."))
        if "power" in data:
            power = read_square(data["power"], folder, "power spectrum")
            if (power < 0).any():
                raise ValueError("a power spectrum has no negative numbers")
            rho = np.fft.fftshift(np.fft.ifft2(power).real)
            side = len(rho) - (len(rho) + 1) % 2
            rho = rho[-side:, -side:]
        elif is_packed(data["correlation"]):
            return data
        else:
            rho = read_square(data["correlation"], folder, "correlation function")
        settings = {
            name: data[name] for name in data if name not in ("correlation", "power")
        }
        return {"correlation": pack(_normal(rho)), **settings}

    @field_validator("correlation")
    @classmethod
    def _is_whole(cls, text: str) -> str:
        _normal(unpack(text))
        return text

    def rho(self) -> np.ndarray:
        """Return the correlation function (K, K), 1 in the middle."""
        return unpack(self.correlation)

    @property
    def loss(self) -> float:
        """Rms of a pixel over the rms of large areas, 1 / sqrt(sum rho)."""
        return float(1 / np.sqrt(max(self.rho().sum(), 1e-12)))

    @property
    def margin(self) -> int:
        """How many pixels the noise is correlated over, at most."""
        return len(self.rho()) // 2

    def amplitude(self, side: int) -> np.ndarray:
        """Return what each wave (S, S / 2 + 1) of white noise on S x S pixels is multiplied by."""
        return _amplitude(self.correlation, side)

    def filtered(self, white: np.ndarray) -> np.ndarray:
        """Return white noise (..., S, S) of rms 1 as correlated noise of rms 1, same shape.

        The noise is periodic: leave `margin` pixels on one side out of each axis.
        """
        amplitude = self.amplitude(white.shape[-1])
        spectrum = np.fft.rfft2(white) * amplitude.astype(white.dtype)
        return np.fft.irfft2(spectrum, white.shape[-2:])


def read_square(file: Any, folder: Path, what: str) -> np.ndarray:
    """Return the square array (K, K) of a .npy or FITS file, or of an array.

    Args:
        file: Name of the file, or the array itself.
        folder: The folder that the name is relative to.
        what: What to call it in errors.

    Raises:
        ValueError: It is no such file, not square, too large or not finite.
    """
    if isinstance(file, np.ndarray):
        array = file
    elif isinstance(file, str | Path):
        try:
            array = np.asarray(read_content(folder / file).value, dtype=np.float64)
        except (DataError, ValueError, TypeError) as error:
            raise ValueError(f"cannot read the {what}: {error}") from None
    else:
        raise ValueError(f"a {what} is the name of a .npy or .fits file, got {file!r}")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) > _MAX_SIDE:
        raise ValueError(
            f"a {what} is square, of at most {_MAX_SIDE} pixels a side, got shape "
            f"{array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"a {what} must hold finite numbers")
    return array


def _normal(rho: np.ndarray) -> np.ndarray:
    """Return a correlation function divided by its middle; `ValueError` if it is none."""
    side = len(rho)
    if rho.ndim != 2 or rho.shape != (side, side) or side % 2 == 0:
        raise ValueError(
            f"a correlation function is square and odd, so that it has a middle, got shape "
            f"{rho.shape}"
        )
    variance = rho[side // 2, side // 2]
    if variance <= 0 or rho.max() > variance:
        raise ValueError("a correlation function has its largest number in the middle")
    rho = rho / variance
    if np.abs(rho - rho[::-1, ::-1]).max() > _ASYMMETRY:
        raise ValueError("a correlation function is the same at x and -x")
    return rho


@lru_cache(maxsize=16)
def _amplitude(correlation: str, side: int) -> np.ndarray:
    """Return the square root of the power (S, S / 2 + 1) of noise on a periodic grid."""
    rho = unpack(correlation)
    reach = min(len(rho) // 2, (side - 1) // 2)
    middle = len(rho) // 2
    rho = rho[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    periodic = np.zeros((side, side))
    offset = np.arange(-reach, reach + 1) % side
    periodic[np.ix_(offset, offset)] = rho
    power = np.fft.rfft2(periodic).real.clip(min=0)
    amplitude = np.sqrt(power)
    full = np.fft.irfft2(power, periodic.shape)[0, 0]  # clipping may change the variance
    return amplitude / np.sqrt(full)
