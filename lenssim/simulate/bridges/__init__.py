"""Bridges: scenes in the terms of lenstronomy, PyAutoLens and COOLEST, and back.

from lenssim.simulate.bridges import from_coolest, to_coolest
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenssim.simulate.bridges.autolens import AutolensScene, from_autolens, to_autolens
    from lenssim.simulate.bridges.coolest import from_coolest, to_coolest
    from lenssim.simulate.bridges.lenstronomy import (
        LenstronomyScene,
        from_lenstronomy,
        to_lenstronomy,
    )

__all__ = [
    "AutolensScene",
    "LenstronomyScene",
    "from_autolens",
    "from_coolest",
    "from_lenstronomy",
    "to_autolens",
    "to_coolest",
    "to_lenstronomy",
]


def __getattr__(name: str) -> Any:
    """Import a bridge when it is asked for: PyAutoLens and lenstronomy take seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    code = name.lower().removesuffix("scene").rpartition("_")[2]
    return getattr(import_module(f"{__name__}.{code}"), name)
