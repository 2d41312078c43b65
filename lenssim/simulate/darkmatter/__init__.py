"""Dark-matter models: each turns the draws of n systems into perturbers. A new one is a file and a line here."""

from typing import Annotated

from pydantic import Field

from lenssim.simulate.darkmatter.axion import FuzzyDarkMatter
from lenssim.simulate.darkmatter.cdm import ColdDarkMatter, PointMassCDM
from lenssim.simulate.darkmatter.no_sub import NoSubstructure
from lenssim.simulate.darkmatter.population import HaloPopulation
from lenssim.simulate.darkmatter.sidm import SelfInteractingDarkMatter
from lenssim.simulate.darkmatter.vortex import BeadVortex, LineVortex
from lenssim.simulate.darkmatter.wdm import WarmDarkMatter

__all__ = ["DARK_MATTER_MODELS", "TRUTHFUL", "DarkMatter"]

DARK_MATTER_MODELS = (
    NoSubstructure,
    PointMassCDM,
    BeadVortex,
    ColdDarkMatter,
    WarmDarkMatter,
    FuzzyDarkMatter,
    LineVortex,
    SelfInteractingDarkMatter,
)
TRUTHFUL = (
    HaloPopulation,
    LineVortex,
)  # a preset with one of these says of all its classes what lies where

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
