"""Source planes: scenes whose sources lie at several redshifts, one plane at a time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from lenssim.simulate.dark_sources import DARK
from lenssim.simulate.scenes import Component, Scenes

__all__ = [
    "each_source_plane",
    "further_planes",
    "has_further_planes",
    "nearest_plane",
]

Render = Callable[..., np.ndarray]


def each_source_plane(render: Render) -> Render:
    """Let the method `render` of an engine see one source plane at a time, and add up the light.

    A source lies at `z_source`, or at the redshift in a column of its own: `source2_z` for
    the component of the prefix `source2_`. The lens deflects its light as it does that of
    the first source, by the ratio of distances. The mass of the first source is neglected.
    """

    @wraps(render)
    def rendered(
        self: Any, scenes: Scenes, instrument: Any, *, supersampling: Any = 1
    ) -> np.ndarray:
        first = nearest_plane(scenes)
        images = render(self, first, instrument, supersampling=supersampling)
        for rows, plane in further_planes(scenes):
            images[rows] += render(self, plane, instrument, supersampling=supersampling)
        return images

    return rendered


def nearest_plane(scenes: Scenes) -> Scenes:
    """Return the scenes without the sources that have a redshift of their own."""
    behind = _behind(scenes)
    if not behind:
        return scenes
    components = tuple(part for part in scenes.components if part not in behind)
    return replace(scenes, components=components)


def further_planes(scenes: Scenes) -> Iterator[tuple[np.ndarray, Scenes]]:
    """Yield each source of a redshift of its own, without other light, where it shines.

    Yields:
        Rows (K,) of the scenes, and K scenes of the lens and that source.
    """
    lens = tuple(part for part in scenes.components if part.role == "lens")
    for source in _behind(scenes):
        magnitude = scenes.params.get(f"{source.prefix}magnitude")
        rows = np.arange(len(scenes))
        if magnitude is not None:
            rows = np.flatnonzero(magnitude < DARK["magnitude"])
        if not len(rows):
            continue
        part = scenes.take(rows)
        params = dict(part.params)
        params.setdefault("z_source_convention", params["z_source"])
        params["z_source"] = params[f"{source.prefix}z"]
        yield rows, replace(part, components=(*lens, source), params=params)


def has_further_planes(scenes: Scenes) -> bool:
    """Return whether a source has a redshift of its own."""
    return bool(_behind(scenes))


def _behind(scenes: Scenes) -> tuple[Component, ...]:
    """Return the sources that have a redshift of their own."""
    return tuple(
        part
        for part in scenes.components
        if part.role == "source" and part.prefix and f"{part.prefix}z" in scenes.params
    )
