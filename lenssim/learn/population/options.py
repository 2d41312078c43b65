"""What may be asked of the images of populations."""

from dataclasses import dataclass
from pathlib import Path

from lenssim.errors import ConfigError

__all__ = ["PopulationOptions"]


@dataclass(frozen=True)
class PopulationOptions:
    """By how many images, and how.

    `images`: also by the first so many of each population. `calibration`: a data set of other populations, which tell
    how alike a run errs in images of one. `scatter`: lenses differ, and all of them are one population. `ConfigError`
    for a calibration, which is by lenses that are alike, of lenses that differ.
    """

    images: tuple[int, ...] = ()
    calibration: Path | None = None
    scatter: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scatter and self.calibration is not None:
            raise ConfigError(
                "populations are calibrated by lenses that are alike: take either calibration or scatter"
            )
