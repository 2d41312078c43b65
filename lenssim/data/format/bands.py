"""Names of the bands of a data set's images."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["bands_of", "shape_words"]


def bands_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the bands that a config states, in the order of the images' bands.

    Args:
        config: The config of a data set.

    Returns:
        The names; none where the camera has one band, or nobody named them.

    Example:
        >>> bands_of({"kind": "imported", "bands": 2, "band_names": ["g", "r"]})
        ('g', 'r')
    """
    preset = config.get("preset")
    names: Any = config.get("band_names", ())
    if isinstance(preset, Mapping) and isinstance(preset.get("instrument"), Mapping):
        names = preset["instrument"].get("bands", ())
    return tuple(map(str, names))


def shape_words(shape: Sequence[int], bands: Sequence[str] = ()) -> str:
    """Return the shape of an image in words, with the names of its bands.

    Example:
        >>> shape_words((1, 64, 64)), shape_words((2, 64, 64), ("g", "r"))
        ('1 x 64 x 64', '2 x 64 x 64, bands g, r')
    """
    words = " x ".join(map(str, shape))
    if bands:
        words += f", bands {', '.join(bands)}"
    return words
