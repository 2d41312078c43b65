"""Problems: pydantic's errors of a preset, in words that begin with the key."""

from typing import Any, cast

from pydantic import BaseModel

from lenssim.errors import explain_rule, unknown
from lenssim.names import printable
from lenssim.simulate.backgrounds import Background
from lenssim.simulate.cosmology import Cosmology, MassConvention
from lenssim.simulate.darkmatter import DARK_MATTER_MODELS
from lenssim.simulate.instruments import CAMERA_TAGS, PSF_KINDS, Band, Camera, Instrument
from lenssim.simulate.lens_table import LensTable
from lenssim.simulate.placement import Placement
from lenssim.simulate.sources.galaxies import Galaxies

__all__ = ["explain_key"]


def explain_key(problem: dict[str, Any], root: list[str]) -> str:
    """Return a problem of a preset in words that begin with the key.

    Args:
        problem: One problem that pydantic reports.
        root: The keys that the preset itself may have, for suggestions.
    """
    loc = tuple(printable(str(part)) for part in problem["loc"])
    path = [part for i, part in enumerate(loc) if not _is_tag(loc, i)]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        owner = ".".join(path[:-1]) or "the preset"
        return str(unknown(f"key in {owner}:", path[-1], _keys_at(loc, root)))
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag = printable(str(problem["ctx"].get("tag", "")))
        return f"{where}: {unknown('dark-matter model', tag, DARK_MATTER_MODELS)}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    message = explain_rule(problem)
    if not where:
        return message
    return f"{where}: {message}"


def _is_tag(loc: tuple[str, ...], i: int) -> bool:
    """Return whether part i of a location is pydantic's tag of a model, camera or PSF, and not a key."""
    before = loc[:i]
    if before == ("instrument",):
        return loc[i] in CAMERA_TAGS
    if before[:1] == ("instrument",):
        return before[-1] == "psf" and loc[i] in PSF_KINDS
    is_class = len(before) == 2 and before[0] == "classes" and len(loc) > 3
    return is_class and loc[i] in DARK_MATTER_MODELS


def _keys_at(loc: tuple[str, ...], root: list[str]) -> list[str]:
    """Return the keys that a mapping at the parent of `loc` may have, for a suggestion."""
    owners: dict[str, type[BaseModel]] = {
        "instrument": Instrument,
        "several_bands": Camera,
        "bands": Band,
        "cosmology": Cosmology,
        "masses": MassConvention,
        "placement": Placement,
        "galaxies": Galaxies,
        "background": Background,
        "lenses": LensTable,
        **cast("dict[str, type[BaseModel]]", PSF_KINDS),
        **DARK_MATTER_MODELS,
    }
    owner = next((owners[part] for part in reversed(loc[:-1]) if part in owners), None)
    if owner is None:
        return root
    return list(owner.model_fields)
