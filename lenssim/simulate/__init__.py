"""What the sky looks like: presets, draws, scenes, engines and noise.

Nothing here knows files or training. What is exported is imported when it is used.

Example:
    >>> from lenssim.simulate import SimulationRequest, simulate
    >>> request = SimulationRequest(model="III", engine="lenstronomy", noise="none")
    >>> exposure = simulate(request.spec(), [0, 1, 2])
    >>> exposure.observed.shape
    (3, 1, 64, 64)
"""

from typing import TYPE_CHECKING

from lenssim.lazy import lazy_exports

if TYPE_CHECKING:
    from lenssim.simulate.engines import ENGINES, Engine, EngineInfo, engine
    from lenssim.simulate.instruments import Instrument, instrument
    from lenssim.simulate.noise import NOISES, NoiseModel, noise_model
    from lenssim.simulate.pipeline import Exposure, simulate
    from lenssim.simulate.preset import Preset, load_preset, presets
    from lenssim.simulate.request import SimulationRequest
    from lenssim.simulate.scenes import Component, Perturbers, Scenes
    from lenssim.simulate.spec import SimulationSpec

__all__ = [
    "ENGINES",
    "NOISES",
    "Component",
    "Engine",
    "EngineInfo",
    "Exposure",
    "Instrument",
    "NoiseModel",
    "Perturbers",
    "Preset",
    "Scenes",
    "SimulationRequest",
    "SimulationSpec",
    "engine",
    "instrument",
    "load_preset",
    "noise_model",
    "presets",
    "simulate",
]

_MODULES = {
    "engines": ("ENGINES", "Engine", "EngineInfo", "engine"),
    "instruments": ("Instrument", "instrument"),
    "noise": ("NOISES", "NoiseModel", "noise_model"),
    "pipeline": ("Exposure", "simulate"),
    "preset": ("Preset", "load_preset", "presets"),
    "request": ("SimulationRequest",),
    "scenes": ("Component", "Perturbers", "Scenes"),
    "spec": ("SimulationSpec",),
}
_SOURCES: dict[str, str] = {}
for _module, _names in _MODULES.items():
    _SOURCES |= dict.fromkeys(_names, f"{__name__}.{_module}")

__getattr__, __dir__ = lazy_exports(__name__, _SOURCES)
