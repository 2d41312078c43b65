"""What comes with lenssim: presets and instruments."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from lenssim.api.arguments import checked

if TYPE_CHECKING:
    from lenssim.simulate.preset import Preset

__all__ = ["instruments", "loaded_presets", "presets"]


@overload
def presets(name: None = None) -> dict[str, str]: ...
@overload
def presets(name: Path | str) -> str: ...
@checked
def presets(name: Path | str | None = None) -> dict[str, str] | str:
    """Return the presets that come with lenssim, or one as YAML to copy and change.

    Args:
        name: Name of a preset, or the path of its file; None for all.

    Returns:
        What each preset simulates, by name. For one preset the text of its file.

    Raises:
        ConfigError: There is no such preset.

    Example:
        >>> presets()["III"]
        'DeepLense Model III as published (HST WFC3 F160W, 64 x 64)'
        >>> "z_lens: 0.5" in presets("III")
        True
    """
    from lenssim.simulate.preset import preset_text

    if name is not None:
        return preset_text(name)
    return {name: preset.summary for name, preset in loaded_presets().items()}


def loaded_presets() -> "dict[str, Preset]":
    """Return the presets that come with lenssim, by name."""
    from lenssim.simulate.preset import load_preset, presets_with_galaxies
    from lenssim.simulate.preset import presets as names

    return {name: load_preset(name) for name in [*names(), *presets_with_galaxies()]}


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
