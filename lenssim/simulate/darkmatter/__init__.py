"""Dark-matter models: each turns the draws of n systems into perturbers. A new one is a file and a line here."""

from typing import Annotated

from pydantic import Field

from lenssim.simulate.darkmatter.cdm import PointMassCDM
from lenssim.simulate.darkmatter.no_sub import NoSubstructure
from lenssim.simulate.darkmatter.vortex import BeadVortex

__all__ = ["DARK_MATTER_MODELS", "DarkMatter"]

DARK_MATTER_MODELS = (NoSubstructure, PointMassCDM, BeadVortex)

DarkMatter = Annotated[NoSubstructure | PointMassCDM | BeadVortex, Field(discriminator="model")]
