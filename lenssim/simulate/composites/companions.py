"""Companions: galaxies near a lens, in differing numbers, that deflect nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.composites.composite import Composite, Setting
from lenssim.simulate.distributions import sample, support

__all__ = ["COMPANIONS"]

_DARK = 60.0  # mag of companions that a lens does not have
_EACH = ("magnitude", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")


def _most(parameters: Mapping[str, Any]) -> int:
    """Return the largest number of companions that may be drawn."""
    return int(np.rint(support(parameters["companions"])[1]))


def _parts(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(f"{k}_", "sersic") for k in range(1, _most(parameters) + 1)]


def _compose(columns: Columns, setting: Setting) -> None:
    """Put each companion with numbers of its own; those that a lens lacks are dark."""
    counts = np.rint(columns.values[f"{setting.prefix}companions"])
    if setting.lens is not None:
        theta_E = columns.values[f"{setting.lens}theta_E"]
        counts = np.where(
            theta_E >= columns.values[f"{setting.prefix}theta_E_above"], counts, 0.0
        )
    counts = columns.put(f"{setting.prefix}companions", counts)
    for k in range(_most(setting.parameters)):
        for name in _EACH:
            column = sample(setting.parameters[name], columns.rng, columns.n)
            if name == "magnitude":
                column = np.where(k < counts, column, _DARK)
            columns.put(f"{setting.prefix}{k + 1}_{name}", column)


COMPANIONS = Composite(
    name="companions",
    kind="light",
    required=("companions", "R_sersic", "center_x", "center_y"),
    defaults=(
        ("n_sersic", {"uniform": [0.8, 3.0]}),
        ("e1", {"truncated_normal": [0.0, 0.2, -0.5, 0.5]}),
        ("e2", {"truncated_normal": [0.0, 0.2, -0.5, 0.5]}),
        ("theta_E_above", 0.0),
    ),
    one_of=("magnitude",),
    undrawn=_EACH,
    parts=_parts,
    compose=_compose,
)
