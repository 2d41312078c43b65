"""Dark-matter models: each turns the draws of n systems into perturbers.

A new model is one file and one line here.
"""

from typing import Annotated, Any, get_args

from pydantic import Field

from lenssim.simulate.darkmatter.axion import FuzzyDarkMatter
from lenssim.simulate.darkmatter.cdm import ColdDarkMatter, PointMassCDM
from lenssim.simulate.darkmatter.no_sub import NoSubstructure
from lenssim.simulate.darkmatter.sidm import SelfInteractingDarkMatter
from lenssim.simulate.darkmatter.vortex import BeadVortex, LineVortex
from lenssim.simulate.darkmatter.wdm import WarmDarkMatter

__all__ = ["DARK_MATTER_MODELS", "DarkMatter"]

DarkMatter = Annotated[
    NoSubstructure
    | PointMassCDM
    | BeadVortex
    | ColdDarkMatter
    | WarmDarkMatter
    | FuzzyDarkMatter
    | LineVortex
    | SelfInteractingDarkMatter,
    Field(discriminator="model"),
]
DARK_MATTER_MODELS: tuple[Any, ...] = get_args(get_args(DarkMatter)[0])
