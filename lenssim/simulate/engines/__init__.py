"""Engines: one contract, several codes. A new engine is a file and a line in `ENGINES`."""

from functools import lru_cache
from importlib import import_module
from typing import Protocol

import numpy as np

from lenssim.errors import unknown
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Scenes

__all__ = ["ENGINES", "Engine", "engine"]

ENGINES = {"lenstronomy": "Lenstronomy"}  # module of this package -> class in it


class Engine(Protocol):
    """What renders scenes. An engine draws no random numbers, and an image depends on its own scene alone."""

    name: str

    def versions(self) -> dict[str, str]:
        """The library versions that its bits depend on."""
        ...

    def render(self, scenes: Scenes, instrument: Instrument, *, supersampling: int = 1) -> np.ndarray:
        """Expected images (N, bands, H, W) in e-/s per pixel: PSF applied, no noise; row 0 is the smallest y."""
        ...


@lru_cache
def engine(name: str) -> Engine:
    """The engine of that name, one a process; `ConfigError` with a suggestion for an unknown one."""
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    return getattr(import_module(f"{__name__}.{name}"), ENGINES[name])()
