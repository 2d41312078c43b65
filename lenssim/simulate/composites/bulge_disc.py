"""Galaxies with a bulge and a disc with spiral arms, as the lens-finding challenge made them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.composites.composite import Composite, Setting
from lenssim.simulate.conventions import ellipticity

__all__ = ["BULGE_DISC"]

_LEAST_SHARE = 0.03  # of a bulge, for its Sersic index
_SLOPE = 0.4  # of log10 n with log10 of the bulge's share
_SMALLEST_INDEX = 0.25
_NO_LIGHT = 1e-4  # least share of a part


def _parts(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("bulge_", "sersic"), ("disc_", "spiral")]


def _compose(columns: Columns, setting: Setting) -> None:
    """Put bulge and disc, whose ellipses lie along the lens's, but for a tilt."""
    values = {name: columns.values[setting.prefix + name] for name in BULGE_DISC.parameters}
    share = np.clip(values["bulge_share"], _NO_LIGHT, 1 - _NO_LIGHT)
    total = values["magnitude"]
    angle = _angle(columns, setting) + values["tilt"]
    bulge = {
        "magnitude": total - 2.5 * np.log10(share),
        "R_sersic": values["bulge_size"] * values["R_sersic"],
        "n_sersic": bulge_index(share, values["index_scatter"]),
    }
    disc = {
        "magnitude": total - 2.5 * np.log10(1 - share),
        "R_sersic": values["R_sersic"],
        "n_sersic": np.ones(columns.n),
        "arms": np.rint(values["arm_count"]),
        "arm_strength": values["arm_strength"],
        "winding": values["winding"],
        "arm_phase": values["arm_phase"],
    }
    for suffix, part in (("bulge", bulge), ("disc", disc)):
        part["e1"], part["e2"] = ellipticity(values[f"{suffix}_q"], angle)
        for name, column in part.items():
            columns.put(f"{setting.prefix}{suffix}_{name}", column)
        for name in ("center_x", "center_y"):
            centre = values[name] + _of_lens(columns, setting, name)
            columns.put(f"{setting.prefix}{suffix}_{name}", centre)


def bulge_index(share: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """Return the Sersic index of bulges, log10 n = 0.4 log10 max(B/T, 0.03) + scatter.

    Metcalf et al. 2019 (A&A 625, A119), section 3.2.

    Args:
        share: Share of the light in the bulge.
        scatter: Scatter of log10 n.

    Example:
        >>> bulge_index(np.array([0.01, 1.0]), np.zeros(2)).round(2).tolist()
        [0.25, 1.0]
    """
    index = 10 ** (_SLOPE * np.log10(np.maximum(share, _LEAST_SHARE)) + scatter)
    return np.maximum(index, _SMALLEST_INDEX)


def _angle(columns: Columns, setting: Setting) -> np.ndarray:
    """Return the position angles (n,) [rad] of the lenses' major axes, 0 without a lens."""
    e1, e2 = (_of_lens(columns, setting, name) for name in ("e1", "e2"))
    return 0.5 * np.arctan2(e2, e1)


def _of_lens(columns: Columns, setting: Setting, name: str) -> np.ndarray:
    """Return a column (n,) of the lenses, 0 without a lens."""
    if setting.lens is None:
        return np.zeros(columns.n)
    return columns.values[f"{setting.lens}{name}"]


BULGE_DISC = Composite(
    name="bulge_disc",
    kind="light",
    required=("R_sersic",),
    defaults=(
        ("bulge_share", {"uniform": [0.0, 1.0]}),
        ("bulge_size", {"uniform": [0.3, 0.8]}),
        ("index_scatter", {"uniform": [-0.1, 0.1]}),
        ("bulge_q", {"uniform": [0.5, 1.0]}),
        ("disc_q", {"uniform": [0.17, 1.0]}),
        ("tilt", {"normal": [0.0, 0.2]}),
        ("arm_count", {"uniform": [1.5, 4.5]}),
        ("arm_strength", {"uniform": [0.0, 0.6]}),
        ("winding", {"uniform": [1.0, 5.0]}),
        ("arm_phase", {"uniform": [0.0, 6.283185307179586]}),
        ("center_x", 0.0),
        ("center_y", 0.0),
    ),
    one_of=("magnitude",),
    parts=_parts,
    compose=_compose,
)
