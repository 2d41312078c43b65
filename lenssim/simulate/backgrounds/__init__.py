"""Backgrounds: real images of blank sky, which lens and source are added to."""

from lenssim.simulate.backgrounds.background import Background, background_of, with_sky
from lenssim.simulate.backgrounds.noise import over_background, sigma_over_background

__all__ = [
    "Background",
    "background_of",
    "over_background",
    "sigma_over_background",
    "with_sky",
]
