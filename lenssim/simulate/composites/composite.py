"""The contract of a composite: which numbers it takes, and the Sersic profiles that it becomes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.profiles import COLOUR, Profile

__all__ = ["Composite", "Setting", "follow_parts", "share_colours"]

CENTRE = ("center_x", "center_y")


@dataclass(frozen=True)
class Setting:
    """What surrounds a composite.

    Attributes:
        prefix: Text before the names of its columns.
        parameters: Its numbers and distributions, as the preset states them.
        lens: Prefix of the columns of the preset's first lens with an Einstein radius, None
            if there is none.
        camera: The preset's camera.
        cosmology: The preset's cosmology.
        filter: Name of the filter of a camera of one band, "" to know it by the camera's.
    """

    prefix: str
    parameters: Mapping[str, Any]
    lens: str | None
    camera: AnyCamera
    cosmology: Cosmology
    filter: str = ""


@dataclass(frozen=True)
class Composite(Profile):
    """Light of several profiles that a preset states as one.

    Engines never see it: `compose` fills the columns of its parts.

    Attributes:
        defaults: As those of a profile; values may be distributions.
        optional: Parameters without a default that may be left out.
        undrawn: Parameters that each part draws for itself, so that they are no columns.
        parts: Function of the parameters that returns the suffix of the prefix and the
            profile of each part.
        compose: Function of the drawn columns and the setting, which puts the columns of
            the parts.
        placed: Function of the same, which changes what depends on where a placement put
            the source.
        of_no_lens: Whether it is light of classes without a source only.
    """

    defaults: tuple[tuple[str, Any], ...] = ()
    optional: tuple[str, ...] = ()
    undrawn: tuple[str, ...] = ()
    parts: Callable[[Mapping[str, Any]], list[tuple[str, str]]] = field(
        default=lambda parameters: []
    )
    compose: Callable[[Columns, Setting], None] = field(
        default=lambda columns, setting: None
    )
    placed: Callable[[Columns, Setting], None] = field(
        default=lambda columns, setting: None
    )
    of_no_lens: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters that may be given."""
        return (*super().parameters, *self.optional)


def follow_parts(composite: Composite, columns: Columns, setting: Setting) -> None:
    """Put the centre of a composite where its first part lies, after a placement moved it."""
    suffix, _ = composite.parts(setting.parameters)[0]
    for name in CENTRE:
        columns.put(
            setting.prefix + name, columns.values[f"{setting.prefix}{suffix}{name}"]
        )


def share_colours(composite: Composite, columns: Columns, setting: Setting) -> None:
    """Give the stated colours of a composite to all of its parts."""
    for name in setting.parameters:
        if not name.startswith(COLOUR):
            continue
        colour = columns.values[setting.prefix + name]
        for suffix, _ in composite.parts(setting.parameters):
            columns.values[f"{setting.prefix}{suffix}{name}"] = np.array(colour)
