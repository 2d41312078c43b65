"""Lenses of a survey as scenes, which engines render."""

from collections.abc import Mapping

import numpy as np

from lenssim.simulate.conventions import ellipticity
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["LENS", "LENS_LIGHT", "SOURCE", "shape_columns", "survey_scenes"]

LENS = (Component("lens", "sie"), Component("lens", "shear"))
LENS_LIGHT = Component("lens_light", "sersic", "lens_light_")
SOURCE = Component("source", "sersic", "source_")
_LENS_LIGHT_INDEX = 4.0  # de Vaucouleurs
_SOURCE_INDEX = 1.0  # exponential disc


def shape_columns(lenses: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of scenes that follow from axis ratios and angles.

    Mass and light of a lens have the same centre and shape.

    Args:
        lenses: Columns (N,) of `SkyModel.draw`.
    """
    e1, e2 = ellipticity(lenses["q"], lenses["phi"])
    source_e1, source_e2 = ellipticity(lenses["source_q"], lenses["source_phi"])
    zero = np.zeros(len(e1))
    return {
        "e1": e1,
        "e2": e2,
        "center_x": zero,
        "center_y": zero,
        "lens_light_e1": e1,
        "lens_light_e2": e2,
        "lens_light_center_x": zero,
        "lens_light_center_y": zero,
        "lens_light_n_sersic": np.full(len(e1), _LENS_LIGHT_INDEX),
        "source_e1": source_e1,
        "source_e2": source_e2,
        "source_n_sersic": np.full(len(e1), _SOURCE_INDEX),
    }


def survey_scenes(
    lenses: Mapping[str, np.ndarray], cosmology: Cosmology, *components: Component
) -> Scenes:
    """Return scenes of lenses, with some of their components.

    Args:
        lenses: Columns (N,) of a survey's catalogue.
        cosmology: The cosmology.
        components: What is shown, of `LENS`, `LENS_LIGHT` and `SOURCE`.
    """
    return Scenes(components, dict(lenses), cosmology=cosmology)
