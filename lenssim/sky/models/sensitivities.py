"""Sensitivities of the lenses of a fit: which subhalo would have been seen in each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.simulate.fit.sensitivity import Sensitivity, arc_positions, sensitivity
from lenssim.sky.models.lenses import Lenses
from lenssim.sky.models.model_scenes import REDSHIFTS, camera_of, model_scene

__all__ = ["SensitivityOptions", "lens_sensitivity"]


@dataclass(frozen=True)
class SensitivityOptions:
    """Which subhaloes are tried.

    Attributes:
        masses: Masses M_200c [Msun], in increasing order.
        positions: The largest number of places on the arcs.
        redshifts: Of lens and source, where the table of a lens does not have z_lens and
            z_source.
    """

    masses: Sequence[float] = (1e8, 3e8, 1e9, 3e9, 1e10)
    positions: int = 40
    redshifts: tuple[float, float] = REDSHIFTS


def lens_sensitivity(
    lenses: Lenses, models: ShardDataset, row: int, options: SensitivityOptions
) -> Sensitivity | None:
    """Return the sensitivity of one lens; None where there is no complete model or no arc.

    Args:
        lenses: The lenses that were modelled.
        models: The data set of models.
        row: Row of the lens.
        options: Which subhaloes are tried.
    """
    scene = model_scene(models, row, options.redshifts)
    if scene is None:
        return None
    observation = lenses.observation(row)
    residual = models.read_map("residual", np.array([row]))[0, 0]
    arcs = models.read_map("source", np.array([row]))[0, 0].astype(np.float64)
    # a fit leaves 0 where pixels did not count
    usable = observation.mask & (residual != 0)
    sigma = np.where(usable, observation.sigma, np.inf)
    positions = arc_positions(arcs, sigma, observation.pixel_scale, options.positions)
    if not len(positions):
        return None
    camera = camera_of(lenses, row)
    return sensitivity(scene, camera, sigma, options.masses, positions)
