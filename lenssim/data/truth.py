"""Truth: what a data set may keep of each sample besides its parameters, as pictures and as detectability."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.preset import Preset
from lenssim.simulate.scenes import Scenes

__all__ = ["TRUTHS", "UNITS", "pictures", "scalars", "truth_config", "truth_modules"]


def _clean(expected: np.ndarray, scenes: Scenes, preset: Preset, config: dict[str, Any]) -> np.ndarray:
    return expected


def _kappa(expected: np.ndarray, scenes: Scenes, preset: Preset, config: dict[str, Any]) -> np.ndarray:
    from lenssim.simulate.engines.batched.convergence import convergence  # only now: it imports torch

    return convergence(scenes, preset.instrument, **config["engine_settings"])


# Pictures (N, C, H, W), by the name of their dataset: functions of expected images, scenes, preset and config.
Picture = Callable[[np.ndarray, Scenes, Preset, dict[str, Any]], np.ndarray]
TRUTHS: dict[str, Picture] = {"clean": _clean, "kappa": _kappa}
UNITS = {"clean": "e-/s", "kappa": ""}


def truth_config(config: dict[str, Any], truth: Sequence[str], detectability: bool) -> dict[str, Any]:
    """What the config says of the truth asked for; nothing where none is, so that the hashes of other sets stay.

    `ConfigError` for names that are not in `TRUTHS`, and for what the engine of the `config` cannot make.
    """
    for name in truth:
        if name not in TRUTHS:
            raise unknown("truth", name, TRUTHS)
    if "kappa" in truth and config["engine"] != "batched":
        raise ConfigError("kappa needs the deflections of the batched engine; give --engine batched, or leave it out")
    if detectability and (config["engine"] != "batched" or config["engine_settings"]["device"] != "cpu"):
        raise ConfigError(
            "detectability needs the derivatives of the batched engine on the CPU; "
            "give --engine batched --device cpu, or leave --detectability out"
        )
    named = [name for name in TRUTHS if name in truth]
    return ({"detectability": True} if detectability else {}) | ({"truth": named} if named else {})


def truth_modules(config: dict[str, Any]) -> list[str]:
    """Modules that take long to import and that the truth of a config needs."""
    return ["lenssim.simulate.engines.batched.detectability"] if config.get("detectability") else []


def pictures(expected: np.ndarray, scenes: Scenes, preset: Preset, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """The pictures that a config asks for, float32 (N, C, H, W), of scenes whose `expected` images are given."""
    return {name: TRUTHS[name](expected, scenes, preset, config).astype(np.float32) for name in config.get("truth", ())}


def scalars(scenes: Scenes, preset: Preset, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """The columns (N,) that a config asks for besides the drawn ones: see `detectability`."""
    if not config.get("detectability"):
        return {}
    from lenssim.simulate.engines.batched.detectability import detectability

    settings = config["engine_settings"]
    return detectability(
        scenes,
        preset.instrument,
        supersampling=config["supersampling"],
        precision=settings["precision"],
        kernels=settings["kernels"],
    )
