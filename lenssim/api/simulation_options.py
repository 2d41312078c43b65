"""Types of the keyword arguments that simulate; defaults and words stand in the requests."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

__all__ = ["GenerationOptions", "SimulationOptions"]

Names = str | Sequence[str]


class SimulationOptions(TypedDict, total=False):
    """Options of simulated images: fields of `SimulationRequest`."""

    seed: int | None
    split: str | None
    noise: str | None
    classes: Names | None
    galaxies: Path | str | None
    lenses: Path | str | None
    shared: Names | None
    engine: str | None
    precision: str | None
    device: str | None
    supersampling: int | str | None


class GenerationOptions(SimulationOptions, total=False):
    """Options of a data set: fields of `GenerationRequest`."""

    maps: Names | None
    residual_from: str | None
    detectability: bool | None
    shard_size: int | None
    storage: str | None
    compress: bool | None
