"""Records of galaxies in the config of a plan, and which of them say the same."""

from typing import Any

__all__ = ["with_first_recipe", "without_paths"]


def without_paths(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config without the path of its galaxies, which are known by their contents.

    Args:
        config: The config of a plan.
    """
    preset = config.get("preset")
    if not isinstance(preset, dict):
        return config
    galaxies = preset.get("galaxies")
    if not isinstance(galaxies, dict) or not galaxies.get("sha256"):
        return config
    contents = {name: value for name, value in galaxies.items() if name != "path"}
    return {**config, "preset": {**preset, "galaxies": contents}}


def with_first_recipe(config: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """Return a config whose galaxies are shown as version 0.1 did, if `earlier` says so.

    A record of that version states the hash of their contents alone.

    Args:
        config: The config of a plan that goes on with an earlier one.
        earlier: The config of that one.
    """
    stated, asked = (
        document.get("preset", {}).get("galaxies") for document in (earlier, config)
    )
    if not stated or not asked or set(stated) - {"path", "sha256"}:
        return config
    same = {
        name: value for name, value in asked.items() if name not in ("recipe", "beside")
    }
    return {**config, "preset": {**config["preset"], "galaxies": same}}
