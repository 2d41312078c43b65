"""Dark-matter models: each turns the draws of n systems into perturbers.

A new model is one file and one line in `DARK_MATTER_MODELS`.
"""

from functools import lru_cache, reduce
from operator import or_ as union
from typing import Annotated, Any

from pydantic import Field, PlainValidator, SerializeAsAny, TypeAdapter, ValidationInfo

from lenssim.simulate.darkmatter.axion import FuzzyDarkMatter
from lenssim.simulate.darkmatter.cdm import ColdDarkMatter, PointMassCDM
from lenssim.simulate.darkmatter.model import DarkMatterModel
from lenssim.simulate.darkmatter.no_source import NoSource
from lenssim.simulate.darkmatter.no_sub import NoSubstructure
from lenssim.simulate.darkmatter.sidm import SelfInteractingDarkMatter
from lenssim.simulate.darkmatter.vortex import BeadVortex, LineVortex
from lenssim.simulate.darkmatter.wdm import WarmDarkMatter

__all__ = ["DARK_MATTER_MODELS", "DarkMatter", "DarkMatterModel"]

DARK_MATTER_MODELS: dict[str, type[DarkMatterModel]] = {
    "no_sub": NoSubstructure,
    "no_source": NoSource,
    "cdm_point_masses": PointMassCDM,
    "vortex_beads": BeadVortex,
    "cdm": ColdDarkMatter,
    "wdm": WarmDarkMatter,
    "axion": FuzzyDarkMatter,
    "vortex": LineVortex,
    "sidm": SelfInteractingDarkMatter,
}


@lru_cache(maxsize=8)
def _choice(models: tuple[type[DarkMatterModel], ...]) -> TypeAdapter[DarkMatterModel]:
    """Return what reads one of some models, chosen by its `model`."""
    members: Any = reduce(union, models)
    if len(models) == 1:
        return TypeAdapter(members)
    return TypeAdapter(Annotated[members, Field(discriminator="model")])


def _read(value: Any, info: ValidationInfo) -> DarkMatterModel:
    """Read a document as the model of the registry that it names."""
    choice = _choice(tuple(DARK_MATTER_MODELS.values()))
    return choice.validate_python(value, context=info.context)


DarkMatter = Annotated[SerializeAsAny[DarkMatterModel], PlainValidator(_read)]
