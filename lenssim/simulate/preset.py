"""Presets by name or file: those that come with lenssim, and those of users and data sets."""

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from lenssim.errors import ConfigError, unknown
from lenssim.formats.json import parse_json
from lenssim.formats.texts import read_text
from lenssim.formats.yaml import parse_yaml
from lenssim.names import printable
from lenssim.simulate.preset_model import Preset, parse_preset

__all__ = [
    "Preset",
    "former_preset",
    "load_preset",
    "parse_preset",
    "preset_text",
    "presets",
    "presets_with_galaxies",
]

_WITH_GALAXIES = "presets_with_galaxies"
_FORMER = {"hst": "hst-arcs", "euclid": "euclid-arcs"}
"""Names that stood for other presets in version 0.1, and what these are called now."""

_ALSO = {"euclid-bright": "euclid"}
"""Further names of presets, which say what their lenses are like."""


def presets() -> list[str]:
    """Return the names of the presets that come with lenssim.

    Example:
        >>> "III" in presets()
        True
    """
    return _names("presets")


def presets_with_galaxies() -> list[str]:
    """Return the names of the presets that show galaxies which a user brings.

    Example:
        >>> "IV" in presets_with_galaxies()
        True
    """
    return _names(_WITH_GALAXIES)


def _names(folder: str) -> list[str]:
    files = resources.files("lenssim.simulate").joinpath(folder).iterdir()
    return sorted(
        file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")
    )


def preset_text(model: str | Path) -> str:
    """Return the text of a preset.

    Args:
        model: Its name, the path of a .yaml file, or that of a data set's plan.json.

    Raises:
        ConfigError: There is no such preset, or its file cannot be read.
    """
    name = _ALSO.get(str(model), str(model))
    if _is_file(name):
        return read_text(Path(model), "the preset")
    folder = _WITH_GALAXIES if name in presets_with_galaxies() else "presets"
    if name not in _names(folder):
        hint = ""
        if Path(name).is_file():
            hint = "; the file of a preset ends in .yaml, .yml or .json"
        error = unknown(
            "model",
            printable(name),
            [*presets(), *presets_with_galaxies()],
            code="unknown-preset",
        )
        raise ConfigError(f"{error}{hint}", code=error.code, **error.fields)
    return (
        resources.files("lenssim.simulate")
        .joinpath(folder, f"{name}.yaml")
        .read_text(encoding="utf-8")
    )


def _is_file(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml", ".json"))


@lru_cache(maxsize=32)
def _load_text(text: str, where: str, folder: Path) -> Preset:
    preset = parse_preset(_document(text, where), where, folder)
    try:
        preset.check()
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", code=error.code, **error.fields) from None
    return preset


def _document(text: str, where: str) -> Any:
    """Return the document of a preset's file."""
    if where.lower().endswith(".json"):
        return _planned(text, where)
    return parse_yaml(text, where)


def _planned(text: str, where: str) -> Any:
    """Return the preset in a plan.json."""
    document = parse_json(text, where)
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict) or "preset" not in config:
        raise ConfigError(
            f"{where} is not the plan.json of a simulated data set",
            code="not-simulated",
            where=where,
        )
    return config["preset"]


def load_preset(model: str | Path) -> Preset:
    """Return a checked preset; arguments as `preset_text`.

    Raises:
        ConfigError: The preset cannot be. The message lists what is wrong, key by key.

    Example:
        >>> load_preset("III").class_names
        ('no_sub', 'cdm', 'axion')
    """
    return _load_text(
        preset_text(model), f"preset {printable(str(model))}", Path(model).parent
    )


def former_preset(name: str | Path) -> Preset | None:
    """Return what version 0.1 simulated under a name that has another preset now.

    Data sets and runs of that version go on with it.

    Args:
        name: Name of a preset.

    Returns:
        The preset under its former name, or None if it is still the same.

    Example:
        >>> former_preset("hst").lens_light
        ()
    """
    today = _FORMER.get(str(name))
    if today is None:
        return None
    return load_preset(today).model_copy(update={"name": str(name)})
