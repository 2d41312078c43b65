"""Engines: one contract, several codes. A new one is a file and an entry in `ENGINES`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.engines.batched.settings import batched_settings
from lenssim.simulate.instruments import ADAPTIVE, AnyCamera, Supersampling
from lenssim.simulate.scenes import Scenes

__all__ = [
    "ENGINES",
    "REFERENCE",
    "Engine",
    "EngineInfo",
    "check_adaptive",
    "check_convergence",
    "check_derivatives",
    "engine",
    "engine_info",
    "engine_module",
    "engine_settings",
    "engine_versions",
]

REFERENCE = "lenstronomy"  # the engine that all others are compared with
DOUBLE = "float64"


def double_precision(
    precision: str | None = None, device: str | None = None
) -> dict[str, Any]:
    """Return the settings of an engine that leaves no choice; refuse another one."""
    if precision not in (None, DOUBLE) or device not in (None, "cpu", "auto"):
        raise ConfigError(
            "this engine works in float64 on the CPU only; "
            "leave --precision and --device out",
            code="engine-options",
        )
    return {}


@dataclass(frozen=True)
class EngineInfo:
    """What is known of an engine without importing it.

    `module` is its module in this package and `class_name` its class there; images depend
    on the versions of `libraries` and on what `settings` makes of a precision and a device.
    `tolerance` is how far an image may be from the reference engine's, as a share of its
    peak in the worst pixel, by precision (see docs/benchmarks.md). `parity` is the same
    where formulas are compared, in `parity_precision`. `adaptive` engines know
    `supersampling="adaptive"`; `derivatives` and `convergence` say what else they compute.
    """

    module: str
    class_name: str
    libraries: tuple[str, ...]
    settings: Callable[[str | None, str | None], dict[str, Any]]
    tolerance: Mapping[str, float]
    parity: float
    parity_precision: str | None = None
    adaptive: bool = False
    derivatives: bool = False
    convergence: bool = False

    def tolerance_of(self, settings: Mapping[str, Any]) -> float:
        """Return the tolerance of an engine of these settings."""
        return self.tolerance[settings.get("precision", DOUBLE)]


ENGINES = {
    "autolens": EngineInfo(
        module="autolens",
        class_name="Autolens",
        libraries=("autolens", "autogalaxy", "autoarray", "numpy", "scipy"),
        settings=double_precision,
        tolerance={DOUBLE: 1e-7},
        parity=1e-7,
    ),
    "batched": EngineInfo(
        module="batched.engine",
        class_name="Batched",
        libraries=("torch", "numpy", "scipy"),
        settings=batched_settings,
        tolerance={"float32": 1e-4, DOUBLE: 1e-8},
        parity=1e-9,
        parity_precision=DOUBLE,
        adaptive=True,
        derivatives=True,
        convergence=True,
    ),
    "lenstronomy": EngineInfo(
        module="lenstronomy",
        class_name="Lenstronomy",
        libraries=("lenstronomy", "numpy", "scipy"),
        settings=double_precision,
        tolerance={DOUBLE: 0.0},
        parity=0.0,
    ),
}


class Engine(Protocol):
    """A code that renders scenes.

    An engine draws no random numbers, and an image depends on its own scene alone.
    """

    def render(
        self, scenes: Scenes, instrument: AnyCamera, *, supersampling: Supersampling = 1
    ) -> np.ndarray:
        """Return expected images (N, bands, H, W) in e-/s per pixel.

        The PSF is applied and there is no noise. Row 0 is the smallest y. The image in a
        band is that of a camera of this band alone.
        """
        ...


def engine(name: str, **settings: Any) -> Engine:
    """Return the engine of that name, one for each process and setting.

    Without `settings` it is the engine's default, see `engine_settings`.
    """
    return _engine(name, tuple(sorted((settings or engine_settings(name)).items())))


@lru_cache
def _engine(name: str, settings: tuple[tuple[str, Any], ...]) -> Engine:
    engine_class = getattr(import_module(engine_module(name)), ENGINES[name].class_name)
    renderer: Engine = engine_class(**dict(settings))
    return renderer


def engine_info(name: str) -> EngineInfo:
    """Return what is known of an engine.

    Raises:
        ConfigError: There is none of that name; the message suggests the nearest.

    Example:
        >>> engine_info("batched").adaptive
        True
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES, code="unknown-engine")
    return ENGINES[name]


def engine_module(name: str) -> str:
    """Return the full name of an engine's module; errors as `engine_info`."""
    return f"{__name__}.{engine_info(name).module}"


def check_adaptive(name: str, supersampling: Supersampling) -> None:
    """Refuse adaptive sampling by an engine that renders regular grids of rays only."""
    if supersampling == ADAPTIVE and not engine_info(name).adaptive:
        able = [name for name, info in ENGINES.items() if info.adaptive]
        raise ConfigError(
            f"the engine {name!r} cannot sample adaptively; give --supersampling a number "
            f"(4 is close), or use --engine {' or '.join(able)}",
            code="engine-options",
            name=name,
        )


def check_derivatives(
    name: str, settings: Mapping[str, Any], needs: str, option: str
) -> None:
    """Refuse an engine without derivatives on the CPU.

    Args:
        name: Name of the engine.
        settings: Its settings.
        needs: What needs derivatives, with its verb: "residuals need".
        option: The option that may be left out.

    Raises:
        ConfigError: The engine or its device does not serve.
    """
    if not engine_info(name).derivatives or settings.get("device") != "cpu":
        raise ConfigError(
            f"{needs} the derivatives of the batched engine on the CPU; "
            f"give --engine batched --device cpu, or leave {option} out",
            code="engine-options",
            option=option,
        )


def check_convergence(name: str) -> None:
    """Refuse an engine that does not compute the perturbers' convergence."""
    if not engine_info(name).convergence:
        raise ConfigError(
            "kappa needs the deflections of the batched engine; "
            "give --engine batched, or leave it out",
            code="engine-options",
        )


def engine_versions(name: str) -> dict[str, str]:
    """Return the versions of an engine's libraries; errors as `engine_info`."""
    return {library: _version(library) for library in engine_info(name).libraries}


@lru_cache
def _version(library: str) -> str:
    """Return the version of a library; reading it takes milliseconds, and each shard asks."""
    return version(library)


def engine_settings(
    name: str, precision: str | None = None, device: str | None = None
) -> dict[str, Any]:
    """Return what an engine's bits depend on besides versions, as arguments of `engine`.

    Raises:
        ConfigError: The engine is unknown, or has no such precision or device.
    """
    return engine_info(name).settings(precision, device)
