"""Documents of models in the COOLEST standard, one file a lens."""

import json
from pathlib import Path

import numpy as np

from lenssim.data.format.files import make_folder, write
from lenssim.data.modelling.lenses import Lenses
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.simulate.bridges.coolest import to_coolest
from lenssim.simulate.instruments import Instrument, PixelPSF
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["write_documents"]

FOLDER = "coolest"
_REDSHIFTS = {"z_lens": 0.5, "z_source": 1.5}  # where nobody knows them; images do not ask
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


def write_documents(folder: Path, models: ShardDataset, lenses: Lenses) -> list[Path]:
    """Write a COOLEST document of each lens that could be modelled.

    The source of Gaussians stands in it as the Sersic profile with the same growth curve.

    Args:
        folder: The folder of the fit.
        models: The data set of models.
        lenses: The lenses that were modelled.

    Returns:
        The files.
    """
    place = folder / FOLDER
    make_folder(place)
    paths = []
    for row in range(len(models)):
        scenes = _scene(models, row)
        if scenes is None:
            continue
        document = to_coolest(scenes, 0, _camera(lenses, row), skip=True)
        document["mode"] = "MAP"
        path = place / f"{row:06d}.json"
        write(path, json.dumps(document, indent=1).encode())
        paths.append(path)
    return paths


def _scene(models: ShardDataset, row: int) -> Scenes | None:
    """Return a model as a scene of one row; None where it is not complete."""
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
    for name, value in _REDSHIFTS.items():
        column = models.params.get(f"true_{name}")
        params[name] = np.array([value if column is None else column[row]])
    return Scenes(tuple(components), params)


def _camera(lenses: Lenses, row: int) -> Instrument:
    """Return the camera of an image: that of its simulation, or what is known of it."""
    if lenses.is_simulated:
        columns = {
            name: np.array([value]) for name, value in lenses.camera_columns(row).items()
        }
        return lenses.camera.of_image(columns, 0)
    observation = lenses.observation(row)
    return Instrument(
        name=observation.name,
        num_pix=len(observation.image),
        pixel_scale=observation.pixel_scale,
        exposure_time=1,
        background_rms=float(np.median(observation.sigma[observation.mask])),
        psf=PixelPSF(kernel=_rows(observation.psf)),
    )


def _rows(psf: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return a PSF as rows of numbers that are not negative and sum to 1."""
    kernel = np.maximum(psf, 0)
    kernel = kernel / kernel.sum()
    return tuple(tuple(row) for row in kernel.tolist())
