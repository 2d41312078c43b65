"""What comes with lenssim: presets and instruments."""

from pathlib import Path
from typing import Any

from lenssim.api.arguments import checked

__all__ = ["instruments", "preset_lines", "presets"]


def presets() -> dict[str, str]:
    """Return the presets that come with lenssim.

    Returns:
        What each preset simulates, by name.

    Example:
        >>> presets()["III"]
        'DeepLense Model III as published (HST WFC3 F160W, 64 x 64)'
    """
    from lenssim.simulate.preset import load_preset, presets_with_galaxies
    from lenssim.simulate.preset import presets as names

    return {
        name: load_preset(name).summary for name in [*names(), *presets_with_galaxies()]
    }


def preset_lines(name: str | Path) -> list[str]:
    """Return the lines of a preset's YAML file.

    Args:
        name: Name of the preset, or the path of its file.
    """
    from lenssim.simulate.preset import preset_text

    return preset_text(name).splitlines()


@checked
def instruments(name: str | None = None) -> dict[str, Any]:
    """Return the instruments that come with lenssim, or the numbers of one.

    Args:
        name: Name of an instrument; None for all.

    Returns:
        What each instrument is, by name. For one instrument its numbers, with the depths
        `m_sigma` and `m5` and, in `lenstronomy`, where lenstronomy differs and why. A camera
        of several bands has them for each band.

    Raises:
        ConfigError: There is no such instrument.

    Example:
        >>> "euclid_vis" in instruments()
        True
        >>> round(instruments("euclid_vis_q1")["m_sigma"], 2)
        30.57
    """
    from lenssim.simulate.instruments import instrument
    from lenssim.simulate.instruments import instruments as names
    from lenssim.simulate.instruments.facts import facts

    if name is None:
        return {name: instrument(name).summary for name in names()}
    camera = instrument(name)
    if not camera.band_names:
        return facts(camera.instruments[0])
    bands = zip(camera.band_names, camera.instruments, strict=True)
    return {band: facts(instrument) for band, instrument in bands}
