"""What comes with lenssim: presets and instruments."""

from pathlib import Path

__all__ = ["instruments", "preset_lines", "presets"]


def presets() -> dict[str, str]:
    """Return the presets that come with lenssim.

    Returns:
        What each preset simulates, by name.

    Example:
        >>> presets()["III"]
        'DeepLense Model III as published (HST WFC3 F160W, 64 x 64)'
    """
    from lenssim.simulate.preset import load_preset
    from lenssim.simulate.preset import presets as names

    return {name: load_preset(name).summary for name in names()}


def preset_lines(name: str | Path) -> list[str]:
    """Return the lines of a preset's YAML file.

    Args:
        name: Name of the preset, or the path of its file.
    """
    from lenssim.simulate.preset import preset_text

    return preset_text(name).splitlines()


def instruments() -> dict[str, str]:
    """Return the instruments that come with lenssim.

    Returns:
        What each instrument is, by name.

    Example:
        >>> "euclid_vis" in instruments()
        True
    """
    from lenssim.simulate.instruments import instrument
    from lenssim.simulate.instruments import instruments as names

    return {name: instrument(name).summary for name in names()}
