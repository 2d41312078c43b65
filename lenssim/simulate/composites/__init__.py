"""Composites: light of several Sersic profiles that a preset states as one. A new one is a file and a line here."""

from lenssim.simulate.composites.bulge_disc import BULGE_DISC
from lenssim.simulate.composites.clumpy import CLUMPY
from lenssim.simulate.composites.companions import COMPANIONS
from lenssim.simulate.composites.composite import Composite, Setting
from lenssim.simulate.composites.distractor import DISTRACTOR
from lenssim.simulate.composites.elliptical import ELLIPTICALS
from lenssim.simulate.composites.irregular import IRREGULAR
from lenssim.simulate.profiles import PROFILES, Profile

__all__ = ["CHOICES", "COMPOSITES", "Composite", "Setting"]

COMPOSITES: dict[str, Composite] = {
    composite.name: composite
    for composite in (CLUMPY, IRREGULAR, *ELLIPTICALS, BULGE_DISC, COMPANIONS, DISTRACTOR)
}
CHOICES: dict[str, Profile] = {**PROFILES, **COMPOSITES}
"""What a preset may name as a profile."""
