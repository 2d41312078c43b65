"""Maps that a data set may keep beside its images, by the names of their datasets."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.spec import maps_of
from lenssim.errors import ConfigError, unknown
from lenssim.simulate.maps import MAPS

__all__ = [
    "FITTED",
    "IMAGE",
    "KERNEL",
    "MASK",
    "OF_OTHER_SIZE",
    "PAIRED",
    "PICTURES",
    "SIGMA",
    "TRUTHS",
    "UNITS",
    "WITH_NOISE",
    "check_kept",
    "check_picture",
    "parts_of",
    "stacked",
]

TRUTHS = tuple(MAPS)  # maps of simulated data
IMAGE = "image"  # the map that is the image itself
PAIRED = "hr"  # of imported pairs: the same sky on finer pixels, of a size of its own
KERNEL = "psf"  # of telescope images: the PSF of each band, of a size of its own
SIGMA = "sigma"
WITH_NOISE = f"{IMAGE}+{SIGMA}"  # the picture of both
MASK = "mask"
OF_OTHER_SIZE = (PAIRED, KERNEL)  # maps whose pixels are not those of the images
FITTED = ("model", "lens_light", "source")  # of fitted lenses, besides their residual
PICTURES = (*TRUTHS, *OF_OTHER_SIZE, *FITTED)  # whatever a shard may keep beside its images
UNITS = {name: kind.unit for name, kind in MAPS.items()}


def check_picture(name: str) -> None:
    """Refuse a name that is neither the image nor one of `PICTURES`, with a suggestion.

    Names that are joined by `+`, such as `image+sigma`, stand for the bands of the image, and then
    those of the other maps. Maps of other sizes cannot be joined.

    Raises:
        ConfigError: There is no such map.
    """
    parts = parts_of(name)
    names = [IMAGE, *PICTURES]
    if len(parts) > 1:
        names = [part for part in names if part not in OF_OTHER_SIZE]
    for part in parts:
        if part not in names:
            raise unknown("picture", part, [*names, WITH_NOISE], code="unknown-map")


def parts_of(picture: str) -> list[str]:
    """Return the maps whose bands a picture shows one after another.

    Example:
        >>> parts_of("image+sigma"), parts_of("clean")
        (['image', 'sigma'], ['clean'])
    """
    return picture.split("+")


def stacked(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return maps (N, C, H, W) with their bands one after another; one map as it is."""
    return maps[0] if len(maps) == 1 else np.concatenate(maps, axis=1)


def check_kept(folder: Path | str, config: dict[str, Any], *names: str) -> None:
    """Refuse maps that a data set does not keep.

    Args:
        folder: Where the data set lies, for the message.
        config: The config of its plan.
        names: Names of maps.

    Raises:
        ConfigError: A map is unknown or not kept.
    """
    for name in names:
        check_picture(name)
    for name in chain.from_iterable(map(parts_of, names)):
        if name == IMAGE or name in maps_of(config):
            continue
        maker = f"lenssim generate --truth {name}"
        if name == PAIRED:
            maker = "lenssim import pairs"
        elif name in FITTED:
            maker = "lenssim fit"
        elif name == KERNEL or (name in (SIGMA, MASK) and config.get("kind") == "imported"):
            maker = "lenssim import fits"
        raise ConfigError(
            f"{folder} keeps no {name!r}; pictures are kept by {maker}",
            code="no-map",
            folder=folder,
            name=name,
        )
