"""Documents of models in the COOLEST standard, one file a lens."""

import json
from pathlib import Path

from lenssim.data.format.files import make_folder, write
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.simulate.bridges.coolest import to_coolest
from lenssim.sky.models.lenses import Lenses
from lenssim.sky.models.model_scenes import camera_of, known_redshifts, model_scene

__all__ = ["write_documents"]

FOLDER = "coolest"


def write_documents(folder: Path, models: ShardDataset, lenses: Lenses) -> list[Path]:
    """Write a COOLEST document of each lens that could be modelled.

    The source of Gaussians stands in it as the Sersic profile with the same growth curve. The
    standard wants redshifts; `meta` says which of them are known.

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
        scenes = model_scene(models, row)
        if scenes is None:
            continue
        document = to_coolest(scenes, 0, camera_of(lenses, row), skip=True)
        document["mode"] = "MAP"
        document["meta"]["lenssim"]["known_redshifts"] = known_redshifts(models, row)
        path = place / f"{row:06d}.json"
        write(path, json.dumps(document, indent=1).encode())
        paths.append(path)
    return paths
