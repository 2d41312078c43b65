"""Sources of classes without a lens: they are there, and dark."""

import numpy as np

from lenssim.simulate.class_order import labels
from lenssim.simulate.columns import Columns
from lenssim.simulate.preset_model import Preset

__all__ = ["DARK", "darken_sources"]

DARK = {"magnitude": 60.0, "amp": 0.0}
"""Light that nobody sees, by the parameter that states it."""
_OF_IMAGES = ("magnification", "n_images")


def darken_sources(preset: Preset, columns: Columns, numbers: np.ndarray) -> None:
    """Switch off the sources of classes that have none, and the distractors of the others.

    Everything else was drawn before the class, and stays. So a sample of such a class is a
    lens whose source shines no more, and its class tells nothing else but its distractor.

    Args:
        preset: The preset with its classes.
        columns: The columns (n,) of lens and source.
        numbers: Sample numbers (n,).
    """
    lit = np.array([model.has_source for model in preset.classes.values()])
    distractors = _distractors(preset)
    if lit.all() and not distractors:
        return
    dark = ~lit[labels(preset, numbers)]
    for prefix in _light(preset, "source"):
        for name, value in DARK.items():
            _replace(columns, prefix + name, dark, value)
    for name in _OF_IMAGES:
        _replace(columns, name, dark, 0.0)
    for prefix in distractors:
        _replace(columns, f"{prefix}magnitude", ~dark, DARK["magnitude"])
        _replace(columns, "kind", ~dark, -1.0)


def _light(preset: Preset, role: str) -> list[str]:
    """Return the prefixes of the light of a role, of profiles and of their parts."""
    prefixes = [part.prefix for part in preset.components() if part.role == role]
    of_role = {id(choice) for choice in getattr(preset, role)}
    stated = [prefix for prefix, choice in preset.prefixed() if id(choice) in of_role]
    return list(dict.fromkeys([*prefixes, *stated]))


def _distractors(preset: Preset) -> list[str]:
    """Return the prefixes of the parts of distractors, which lenses do not have."""
    return [
        prefix + suffix
        for prefix, choice in preset.prefixed()
        if choice.composite is not None and choice.composite.of_no_lens
        for suffix, _ in choice.parts
    ]


def _replace(columns: Columns, name: str, rows: np.ndarray, value: float) -> None:
    """Set some rows (n,) of a column, if there is one; its law holds no more."""
    if name in columns.values:
        columns.values[name] = np.where(rows, value, columns.values[name])
        columns.laws.pop(name, None)
