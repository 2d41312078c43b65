"""Engines: one contract, several codes. A new engine is a file and a line in `ENGINES`."""

from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.engines.batched.settings import batched_settings
from lenssim.simulate.instruments import ADAPTIVE, Instrument, Supersampling
from lenssim.simulate.scenes import Scenes

__all__ = [
    "ENGINES",
    "Engine",
    "check_adaptive",
    "engine",
    "engine_module",
    "engine_settings",
    "engine_versions",
]


def double_precision(
    precision: str | None = None, device: str | None = None
) -> dict[str, Any]:
    """Settings of an engine that leaves no choice; `ConfigError` if another is made."""
    if precision not in (None, "float64") or device not in (None, "cpu", "auto"):
        raise ConfigError(
            "this engine works in float64 on the CPU only; leave --precision and --device out"
        )
    return {}


# module of this package, class in it, libraries that its bits depend on, and what its settings are
ENGINES = {
    "autolens": (
        "autolens",
        "Autolens",
        ("autolens", "autogalaxy", "autoarray", "numpy", "scipy"),
        double_precision,
    ),
    "batched": ("batched.engine", "Batched", ("torch", "numpy", "scipy"), batched_settings),
    "lenstronomy": (
        "lenstronomy",
        "Lenstronomy",
        ("lenstronomy", "numpy", "scipy"),
        double_precision,
    ),
}
ADAPTIVE_ENGINES = ("batched",)  # those that know `supersampling="adaptive"`


class Engine(Protocol):
    """What renders scenes. An engine draws no random numbers, and an image depends on its own scene alone."""

    def render(
        self, scenes: Scenes, instrument: Instrument, *, supersampling: Supersampling = 1
    ) -> np.ndarray:
        """Expected images (N, bands, H, W) in e-/s per pixel: PSF applied, no noise; row 0 is the smallest y."""
        ...


def engine(name: str, **settings: Any) -> Engine:
    """The engine of that name, one a process and setting; `ConfigError` with a suggestion for an unknown one.

    Without `settings` it is the engine's default, see `engine_settings`.
    """
    return _engine(name, tuple(sorted((settings or engine_settings(name)).items())))


@lru_cache
def _engine(name: str, settings: tuple[tuple[str, Any], ...]) -> Engine:
    return getattr(import_module(engine_module(name)), ENGINES[name][1])(**dict(settings))


def engine_module(name: str) -> str:
    """Full name of the module that holds an engine, without importing it; errors as `engine`."""
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    return f"{__name__}.{ENGINES[name][0]}"


def check_adaptive(name: str, supersampling: Supersampling) -> None:
    """`ConfigError` if the engine renders regular grids of rays only and is asked for others."""
    if supersampling == ADAPTIVE and name not in ADAPTIVE_ENGINES:
        raise ConfigError(
            f"the engine {name!r} cannot sample adaptively; give --supersampling a number (4 is close), "
            f"or use --engine {' or '.join(ADAPTIVE_ENGINES)}"
        )


def engine_versions(name: str) -> dict[str, str]:
    """Versions of the libraries that an engine's bits depend on, without importing it; errors as `engine`."""
    engine_module(name)
    return {library: version(library) for library in ENGINES[name][2]}


def engine_settings(
    name: str, precision: str | None = None, device: str | None = None
) -> dict[str, Any]:
    """What an engine's bits depend on besides versions, as arguments of `engine`; `ConfigError` if it has no such."""
    engine_module(name)
    return ENGINES[name][3](precision, device)
