"""Engines: one contract, several codes. A new engine is a file and a line in `ENGINES`."""

from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Protocol

import numpy as np

from lenssim.errors import unknown
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Scenes

__all__ = ["ENGINES", "Engine", "engine", "engine_module", "engine_versions"]

# module of this package -> class in it, and the libraries that its bits depend on
ENGINES = {"lenstronomy": ("Lenstronomy", ("lenstronomy", "numpy", "scipy"))}


class Engine(Protocol):
    """What renders scenes. An engine draws no random numbers, and an image depends on its own scene alone."""

    def render(self, scenes: Scenes, instrument: Instrument, *, supersampling: int = 1) -> np.ndarray:
        """Expected images (N, bands, H, W) in e-/s per pixel: PSF applied, no noise; row 0 is the smallest y."""
        ...


@lru_cache
def engine(name: str) -> Engine:
    """The engine of that name, one a process; `ConfigError` with a suggestion for an unknown one."""
    return getattr(import_module(engine_module(name)), ENGINES[name][0])()


def engine_module(name: str) -> str:
    """Full name of the module that holds an engine, without importing it; errors as `engine`."""
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    return f"{__name__}.{name}"


def engine_versions(name: str) -> dict[str, str]:
    """Versions of the libraries that an engine's bits depend on, without importing it; errors as `engine`."""
    engine_module(name)
    return {library: version(library) for library in ENGINES[name][1]}
