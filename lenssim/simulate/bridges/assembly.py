"""Assembly of a scene from single profiles: components, perturbers and their names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Perturbers, Role, Scenes

__all__ = ["DEFAULT_PREFIX", "ProfileEntry", "assemble_scene"]

DEFAULT_PREFIX = {"lens": "", "lens_light": "lens_light_", "source": "source_"}

_Rows = dict[str, list[Mapping[str, Any]]]


@dataclass(frozen=True)
class ProfileEntry:
    """One profile of a system.

    With the name `<prefix><profile>` it becomes the component of that prefix, with
    `<profile>_<number>` a perturber. With any other name it becomes a component under the role's
    default prefix, or under a prefix of its name where that one is taken.

    Attributes:
        role: "lens", "lens_light" or "source".
        profile: lenssim's name of the profile.
        values: Its parameters.
        name: Its name in the other code.
    """

    role: Role
    profile: str
    values: Mapping[str, Any]
    name: str = ""

    @property
    def is_perturber(self) -> bool:
        """Whether it is a perturber of the lens, by its name."""
        pattern = rf"{self.profile}_\d+"
        return self.role == "lens" and bool(re.fullmatch(pattern, self.name))


def assemble_scene(
    entries: Iterable[ProfileEntry], redshifts: Mapping[str, float], cosmology: Cosmology
) -> Scenes:
    """Return the scene table of one system.

    Args:
        entries: The profiles of the system.
        redshifts: z_lens, z_source and, if need be, z_source_convention.
        cosmology: The cosmology of the scene.

    Raises:
        ConfigError: `Scenes` refuses it, or two components would share a column.
    """
    components: list[Component] = []
    params = {name: np.array([float(value)]) for name, value in redshifts.items()}
    rows: _Rows = {}
    images: list[np.ndarray] = []
    for entry in entries:
        values = {**dict(PROFILES[entry.profile].defaults), **entry.values}
        if entry.is_perturber:
            rows.setdefault(entry.profile, []).append(values)
            continue
        if "image" in values:
            images.append(np.asarray(values["image"], dtype=np.float64))
            values["image"] = len(images) - 1
        prefix = _prefix(entry, values, params)
        components.append(Component(entry.role, entry.profile, prefix))
        for name, value in values.items():
            params[prefix + name] = np.array([float(value)])
    if not any(component.role == "source" for component in components):
        raise ConfigError(
            "there is no source: a scene needs light behind the lens", code="no-source"
        )
    stack = _stacked(images)
    return Scenes(tuple(components), params, _perturbers(rows), cosmology, images=stack)


def _stacked(images: list[np.ndarray]) -> np.ndarray | None:
    """Return the images of interpolated sources as one array."""
    if not images:
        return None
    if len({image.shape for image in images}) > 1:
        raise ConfigError(
            "images of interpolated sources must all have one shape; pad the smaller ones with "
            "zeros",
            code="scene-images",
        )
    return np.stack(images)


def _perturbers(rows: _Rows) -> dict[str, Perturbers]:
    tables = {}
    for kind, values in rows.items():
        columns = {
            name: np.array([float(row[name]) for row in values])
            for name in PROFILES[kind].columns
        }
        tables[kind] = Perturbers.from_counts(np.array([len(values)]), **columns)
    return tables


def _prefix(
    entry: ProfileEntry, values: Mapping[str, Any], params: Mapping[str, np.ndarray]
) -> str:
    if entry.name.endswith(entry.profile):
        prefixes = [entry.name.removesuffix(entry.profile)]
    else:
        by_name = f"{entry.name or entry.profile}_"
        numbered = (f"{by_name}{k}_" for k in range(2, 1000))
        prefixes = [DEFAULT_PREFIX[entry.role], by_name, *numbered]
    for prefix in prefixes:
        if not any(prefix + name in params for name in values):
            return prefix
    raise ConfigError(
        f"two profiles of the {entry.role} would share columns under the prefix "
        f"{prefixes[0]!r}; rename {entry.name!r}",
        code="scene-columns",
        role=entry.role,
        name=entry.name,
    )
