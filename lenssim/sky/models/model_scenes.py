"""Models as scenes, with the cameras of their images."""

import numpy as np

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Component, Scenes
from lenssim.sky.models.cameras import camera_of_observation
from lenssim.sky.models.lenses import Lenses

__all__ = ["REDSHIFTS", "camera_of", "model_scene"]

REDSHIFTS = (0.5, 1.5)  # where nobody knows them; images do not ask
_COMPONENTS = (
    Component("lens", "epl", ""),
    Component("lens", "shear", ""),
    Component("source", "sersic", "source_"),
    Component("lens_light", "sersic", "lens_light_"),
)
_PARAMETERS = {
    "epl": ("theta_E", "gamma", "e1", "e2", "center_x", "center_y"),
    "shear": ("gamma1", "gamma2"),
    "sersic": ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y", "amp"),
}


def model_scene(
    models: ShardDataset, row: int, redshifts: tuple[float, float] = REDSHIFTS
) -> Scenes | None:
    """Return a model as a scene of one row; None where it is not complete.

    Args:
        models: The data set of models.
        row: Row of the lens.
        redshifts: Of lens and source, where the lens has none of its own.
    """
    params: dict[str, np.ndarray] = {}
    components = []
    for component in _COMPONENTS:
        names = [component.prefix + name for name in _PARAMETERS[component.profile]]
        values = [models.params[name][row] for name in names]
        if not np.isfinite(values).all():
            continue
        components.append(component)
        params |= {
            name: np.array([value]) for name, value in zip(names, values, strict=True)
        }
    roles = {component.role for component in components}
    if not {"lens", "source"} <= roles:
        return None
    for name, value in zip(("z_lens", "z_source"), redshifts, strict=True):
        column = models.params.get(f"true_{name}")
        redshift = np.nan if column is None else column[row]
        params[name] = np.array([redshift if np.isfinite(redshift) else value])
    return Scenes(tuple(components), params)


def camera_of(lenses: Lenses, row: int) -> Instrument:
    """Return the camera of an image: that of its simulation, or what is known of it.

    Args:
        lenses: The lenses.
        row: Row of the lens.
    """
    if lenses.is_simulated:
        columns = {
            name: np.array([value]) for name, value in lenses.camera_columns(row).items()
        }
        return lenses.camera.of_image(columns, 0)
    return camera_of_observation(lenses.observation(row))
