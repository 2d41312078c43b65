"""Stamps of galaxies: what a catalogue says of them, and how each is read."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Catalogue", "Entry"]


@dataclass(frozen=True)
class Entry:
    """What a catalogue says of one stamp; NaN where it says nothing.

    Attributes:
        name: Name for messages.
        stem: Name of its file without ending, "" if it shares its file with others.
        magnitude: Magnitude.
        redshift: Redshift.
        kind: Class, -1 if it has none.
        variance: Variance of a pixel's noise.
        position: Right ascension and declination [deg].
    """

    name: str
    stem: str = ""
    magnitude: float = math.nan
    redshift: float = math.nan
    kind: int = -1
    variance: float = math.nan
    position: tuple[float, float] = (math.nan, math.nan)


@dataclass(frozen=True)
class Catalogue:
    """Stamps of galaxies, and how each is read.

    Attributes:
        entries: One for each stamp, in the order of the files.
        image: Function of a stamp's number that returns its image (H, W), or (C, H, W).
        psf: Function of a stamp's number that returns its PSF (H, W); None if there is none.
        correlation: Correlation of the noise of all stamps at lags -L to L, if known.
        is_picture: Whether the stamps are 8-bit pictures, whose light is not linear.
    """

    entries: tuple[Entry, ...]
    image: Callable[[int], np.ndarray]
    psf: Callable[[int], np.ndarray] | None = None
    correlation: np.ndarray | None = field(default=None, repr=False)
    is_picture: bool = False
