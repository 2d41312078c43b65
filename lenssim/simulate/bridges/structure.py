"""From profiles one by one to a scene: which are components, which perturbers, and what they are called."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Perturbers, Role, Scenes

__all__ = ["DEFAULT_PREFIX", "Piece", "scene_of"]

DEFAULT_PREFIX = {"lens": "", "lens_light": "lens_light_", "source": "source_"}


@dataclass(frozen=True)
class Piece:
    """One profile of a system: its role, lenssim's name of the profile, its values, and what it was called.

    Called `<prefix><profile>` it becomes the component of that prefix, `<profile>_<number>` a perturber; anything else
    becomes a component under the role's usual prefix, or under its own name where that is taken.
    """

    role: Role
    profile: str
    values: Mapping[str, Any]
    name: str = ""


def scene_of(
    pieces: Iterable[Piece], redshifts: Mapping[str, float], cosmology: Cosmology
) -> Scenes:
    """The scene table of one system; `ConfigError` as `Scenes`, or if two components would share a column."""
    components: list[Component] = []
    params = {name: np.array([float(value)]) for name, value in redshifts.items()}
    rows: dict[str, list[Mapping[str, Any]]] = {}
    images: list[np.ndarray] = []
    for piece in pieces:
        values = {**dict(PROFILES[piece.profile].defaults), **piece.values}
        if piece.role == "lens" and re.fullmatch(rf"{piece.profile}_\d+", piece.name):
            rows.setdefault(piece.profile, []).append(values)
            continue
        if "image" in values:
            images.append(np.asarray(values["image"], dtype=np.float64))
            values["image"] = len(images) - 1
        prefix = _prefix(piece, values, params)
        components.append(Component(piece.role, piece.profile, prefix))
        params |= {
            prefix + name: np.array([float(value)]) for name, value in values.items()
        }
    if not any(component.role == "source" for component in components):
        raise ConfigError("there is no source: a scene needs light behind the lens")
    if len({image.shape for image in images}) > 1:
        raise ConfigError(
            "images of interpolated sources must all have one shape; pad the smaller ones with zeros"
        )
    perturbers = {
        kind: Perturbers.from_counts(
            np.array([len(own)]),
            **{
                name: np.array([float(row[name]) for row in own])
                for name in PROFILES[kind].columns
            },
        )
        for kind, own in rows.items()
    }
    return Scenes(
        tuple(components),
        params,
        perturbers,
        cosmology,
        images=np.stack(images) if images else None,
    )


def _prefix(
    piece: Piece, values: Mapping[str, Any], params: Mapping[str, np.ndarray]
) -> str:
    usual = DEFAULT_PREFIX[piece.role]
    if piece.name.endswith(piece.profile):
        prefixes = [piece.name.removesuffix(piece.profile)]
    else:
        own = f"{piece.name or piece.profile}_"
        prefixes = [usual, own, *(f"{own}{k}_" for k in range(2, 1000))]
    for prefix in prefixes:
        if not any(prefix + name in params for name in values):
            return prefix
    raise ConfigError(
        f"two profiles of the {piece.role} would share columns under the prefix {prefixes[0]!r}; rename {piece.name!r}"
    )
