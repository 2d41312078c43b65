"""Models as scenes, with the cameras of their images."""

import numpy as np

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Component, Scenes
from lenssim.sky.models.cameras import camera_of_observation
from lenssim.sky.models.lenses import Lenses

__all__ = ["REDSHIFTS", "camera_of", "known_redshifts", "model_scene"]

REDSHIFTS = (0.5, 1.5)  # where nobody knows them; images do not ask
_PLANES = ("z_lens", "z_source")
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
    stated = known_redshifts(models, row)
    for name, value in zip(_PLANES, redshifts, strict=True):
        params[name] = np.array([stated.get(name, value)])
    return Scenes(tuple(components), params)


def known_redshifts(models: ShardDataset, row: int) -> dict[str, float]:
    """Return the redshifts of lens and source that the table of the lenses has.

    Args:
        models: The data set of models.
        row: Row of the lens.
    """
    columns = {name: models.params.get(f"true_{name}") for name in _PLANES}
    values = {name: column[row] for name, column in columns.items() if column is not None}
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


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
