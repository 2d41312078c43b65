"""Options of a population inference."""

from dataclasses import dataclass
from pathlib import Path

from lenssim.errors import ConfigError

__all__ = ["PopulationOptions"]


@dataclass(frozen=True)
class PopulationOptions:
    """Options of a population inference.

    Attributes:
        images: Also infer from the first so many images of each population.
        calibration: A data set of other populations, which measure how the errors of a run
        correlate.
        scatter: Whether lenses differ, and all of them are one population.
        seed: Seed of the draws.

    Raises:
        ConfigError: Both calibration and scatter are given. A calibration needs lenses that are
            alike.

    Example:
        >>> PopulationOptions(images=(10, 100)).scatter
        False
    """

    images: tuple[int, ...] = ()
    calibration: Path | None = None
    scatter: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scatter and self.calibration is not None:
            raise ConfigError(
                "populations are calibrated by lenses that are alike: take either "
                "calibration or scatter",
                code="options-conflict",
                options=("calibration", "scatter"),
            )
