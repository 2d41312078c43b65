"""Problems: what pydantic finds wrong with a preset, in words that begin with the key."""

from typing import Any

from pydantic import BaseModel, ValidationError

from lenssim.errors import unknown
from lenssim.names import printable
from lenssim.simulate.cosmology import Cosmology, MassConvention
from lenssim.simulate.darkmatter import DARK_MATTER_MODELS
from lenssim.simulate.instruments import PSF_KINDS, Instrument
from lenssim.simulate.placement import Placement
from lenssim.simulate.sources.galaxies import Galaxies

__all__ = ["explain"]

_MOST_PROBLEMS = 20  # that are told
_MODELS = {
    model.model_fields["model"].annotation.__args__[0]: model
    for model in DARK_MATTER_MODELS
}


def explain(error: ValidationError, root: list[str]) -> list[str]:
    """Return the problems of a preset, one a line.

    Args:
        error: What pydantic says.
        root: The keys that the preset itself may have, for suggestions.
    """
    problems = error.errors(include_url=False, include_input=False)
    if len(problems) > 1:  # a list whose entries are wrong is also reported as too short
        problems = [problem for problem in problems if problem["type"] != "too_short"]
    lines = sorted(
        {_in_words(dict(problem), root) for problem in problems[:_MOST_PROBLEMS]}
    )
    if len(problems) > _MOST_PROBLEMS:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS} more problems")
    return lines


def _in_words(problem: dict[str, Any], root: list[str]) -> str:
    """One problem that pydantic found, in words that begin with the key."""
    loc = tuple(printable(str(part)) for part in problem["loc"])
    path = [part for i, part in enumerate(loc) if not _is_tag(loc, i)]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return str(
            unknown(
                f"key in {'.'.join(path[:-1]) or 'the preset'}:",
                path[-1],
                _keys_at(loc, root),
            )
        )
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = printable(str(problem["ctx"].get("tag", "")))
        return f"{where}: " + str(unknown("dark-matter model", given, _MODELS))
    if problem["type"] == "missing":
        return f"{where} is missing"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if problem["type"] in ("value_error", "psf_kind"):
        return f"{where}: {message}" if where else message
    return f"{where}: must be {message}"


def _is_tag(loc: tuple[str, ...], i: int) -> bool:
    """Whether a part of a place is pydantic's name of the kind of dark matter or PSF, and no key."""
    before = loc[:i]
    return (
        len(before) == 2 and before[0] == "classes" and loc[i] in _MODELS and len(loc) > 3
    ) or (before == ("instrument", "psf") and loc[i] in PSF_KINDS)


def _keys_at(loc: tuple[str, ...], root: list[str]) -> list[str]:
    """Keys that a mapping at the parent of `loc` may have, for a suggestion."""
    owners: dict[str, type[BaseModel]] = {
        "instrument": Instrument,
        "cosmology": Cosmology,
        "masses": MassConvention,
        "placement": Placement,
        "galaxies": Galaxies,
        **PSF_KINDS,
        **_MODELS,
    }
    owner = next((owners[part] for part in reversed(loc[:-1]) if part in owners), None)
    return root if owner is None else list(owner.model_fields)
