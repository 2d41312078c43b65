"""Distractors: what a finder takes for a lens, such as rings, spirals and blue companions."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.composites.composite import Composite, Setting
from lenssim.simulate.conventions import ellipticity

__all__ = ["DISTRACTOR", "KINDS"]

KINDS = ("plain", "spiral", "ring", "merger", "edge_on", "blue", "star", "trail")
"""Kinds of distractors, by their number in the column `kind`; `plain` has none."""

_PIECES = 8  # Sersics of a distractor, beside a disc with arms
_DARK = 60.0  # mag
_FULL = 2 * np.pi
_ALIKE = 0.7  # Sersic index of light without a cusp


class _Pieces:
    """The numbers of n discs and of their n x 8 pieces; all are dark at first."""

    def __init__(self, columns: Columns, setting: Setting) -> None:
        values = columns.values
        count = columns.n
        self.rng = columns.rng
        self.count = count
        self.magnitude = values[f"{setting.prefix}magnitude"]
        self.radius = values[f"{setting.prefix}radius"]
        lens = "" if setting.lens is None else setting.lens
        self.x = values.get(f"{lens}center_x", np.zeros(count))
        self.y = values.get(f"{lens}center_y", np.zeros(count))
        self.theta_E = values.get(f"{lens}theta_E", self.radius)
        self.source = values.get("source_magnitude", self.magnitude)
        self.source_size = values.get("source_R_sersic", 0.3 * self.radius)
        shape = (count, _PIECES)
        self.piece = {
            "magnitude": np.full(shape, _DARK),
            "R_sersic": np.full(shape, 0.1),
            "n_sersic": np.full(shape, _ALIKE),
            "q": np.ones(shape),
            "phi": np.zeros(shape),
            "center_x": np.zeros(shape),
            "center_y": np.zeros(shape),
        }
        self.disc_magnitude = np.full(count, _DARK)

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Draw uniform numbers (n, *shape)."""
        return self.rng.uniform(low, high, (self.count, *shape))

    def put(self, pieces: slice, **numbers: Any) -> None:
        """Set numbers of some pieces; positions are from the lens."""
        for name, value in numbers.items():
            self.piece[name][:, pieces] = value
        for name, centre in (("center_x", self.x), ("center_y", self.y)):
            self.piece[name][:, pieces] += centre[:, None]


def _share(count: float) -> float:
    """Return the magnitude that one of `count` equal pieces is fainter by."""
    return float(2.5 * np.log10(count))


def _plain(pieces: _Pieces) -> None:
    """Add nothing: the galaxy is alone."""


def _spiral(pieces: _Pieces) -> None:
    """Add a disc with arms about the galaxy, which is its bulge."""
    pieces.disc_magnitude = pieces.magnitude


def _ring(pieces: _Pieces) -> None:
    """Add a ring of eight pieces along it, off centre by up to a fifth of its radius."""
    angle = pieces.uniform(0, _FULL, 1) + np.arange(_PIECES) * _FULL / _PIECES
    shift = pieces.uniform(-0.14, 0.14, 2, 1) * pieces.radius[:, None, None]
    uneven = pieces.uniform(-0.4, 0.4, _PIECES)
    width = pieces.uniform(0.1, 0.25, 1)
    length = pieces.radius[:, None] * 0.45
    pieces.put(
        slice(None),
        magnitude=pieces.magnitude[:, None] + _share(_PIECES) + uneven,
        R_sersic=length * np.sqrt(width / 0.45),
        q=np.clip(width / 0.45, 0.1, 1.0),
        phi=angle + np.pi / 2,
        center_x=pieces.radius[:, None] * np.cos(angle) + shift[:, 0],
        center_y=pieces.radius[:, None] * np.sin(angle) + shift[:, 1],
    )


def _merger(pieces: _Pieces) -> None:
    """Add a second galaxy, and a tidal tail along a logarithmic spiral."""
    start = pieces.uniform(0, _FULL, 1)
    pieces.put(
        slice(0, 1),
        magnitude=pieces.magnitude[:, None] + 0.5,
        R_sersic=0.3 * pieces.radius[:, None],
        n_sersic=2.5,
        q=pieces.uniform(0.5, 1.0, 1),
        phi=start,
        center_x=0.7 * pieces.radius[:, None] * np.cos(start),
        center_y=0.7 * pieces.radius[:, None] * np.sin(start),
    )
    steps = np.arange(1, _PIECES)
    angle = start + 0.35 * steps
    radius = 0.8 * pieces.radius[:, None] * np.exp(0.12 * steps)
    pieces.put(
        slice(1, None),
        magnitude=pieces.magnitude[:, None] + 1.2 + _share(7) + 0.15 * steps,
        R_sersic=0.22 * radius,
        q=0.4,
        phi=angle + np.pi / 2 - 0.3,
        center_x=radius * np.cos(angle),
        center_y=radius * np.sin(angle),
    )


def _edge_on(pieces: _Pieces) -> None:
    """Add a disc seen from its edge, beside the galaxy."""
    angle = pieces.uniform(0, _FULL, 1)
    pieces.put(
        slice(0, 1),
        magnitude=pieces.magnitude[:, None],
        R_sersic=0.6 * pieces.radius[:, None],
        n_sersic=1.0,
        q=pieces.uniform(0.08, 0.2, 1),
        phi=angle + np.pi / 2 + pieces.uniform(-0.4, 0.4, 1),
        center_x=pieces.radius[:, None] * np.cos(angle),
        center_y=pieces.radius[:, None] * np.sin(angle),
    )


def _blue(pieces: _Pieces) -> None:
    """Add one to three galaxies of the source's kind near theta_E, which nothing lenses.

    Their light becomes that of the arcs when the source has been placed.
    """
    number = pieces.rng.integers(1, 4, pieces.count)[:, None]
    places = np.arange(3)
    angle = pieces.uniform(0, _FULL, 3)
    radius = pieces.theta_E[:, None] * pieces.uniform(0.7, 1.4, 3)
    magnitude = pieces.source[:, None] + 2.5 * np.log10(number)
    pieces.put(
        slice(0, 3),
        magnitude=np.where(places < number, magnitude, _DARK),
        R_sersic=np.clip(pieces.source_size, 0.03, 2.0)[:, None],
        n_sersic=1.0,
        q=pieces.uniform(0.35, 1.0, 3),
        phi=pieces.uniform(0, np.pi, 3),
        center_x=radius * np.cos(angle),
        center_y=radius * np.sin(angle),
    )


def _star(pieces: _Pieces) -> None:
    """Add a star, with four spikes, at up to a radius from the galaxy."""
    angle = pieces.uniform(0, _FULL, 1)
    distance = pieces.uniform(0, 1, 1) * pieces.radius[:, None]
    x = distance * np.cos(angle)
    y = distance * np.sin(angle)
    magnitude = pieces.magnitude[:, None] - pieces.uniform(0.0, 2.5, 1)
    pieces.put(
        slice(0, 1),
        magnitude=magnitude,
        R_sersic=0.02,
        n_sersic=0.5,
        center_x=x,
        center_y=y,
    )
    pieces.put(
        slice(1, 3),
        magnitude=magnitude + 3.0,
        R_sersic=pieces.uniform(0.8, 2.0, 1),
        n_sersic=1.0,
        q=0.03,
        phi=pieces.uniform(0, np.pi, 1) + np.array([0.0, np.pi / 2]),
        center_x=x,
        center_y=y,
    )


def _trail(pieces: _Pieces) -> None:
    """Add the trail of a satellite or a cosmic ray: a straight line."""
    angle = pieces.uniform(0, _FULL, 1)
    distance = pieces.uniform(0, 2, 1) * pieces.radius[:, None]
    pieces.put(
        slice(0, 1),
        magnitude=pieces.magnitude[:, None] - 0.5,
        R_sersic=10 ** pieces.uniform(-0.3, 0.7, 1),
        n_sersic=0.5,
        q=0.02,
        phi=angle + np.pi / 2,
        center_x=distance * np.cos(angle),
        center_y=distance * np.sin(angle),
    )


_ADD: dict[str, Callable[[_Pieces], None]] = {
    "plain": _plain,
    "spiral": _spiral,
    "ring": _ring,
    "merger": _merger,
    "edge_on": _edge_on,
    "blue": _blue,
    "star": _star,
    "trail": _trail,
}


def _kinds(columns: Columns, parameters: Mapping[str, Any]) -> np.ndarray:
    """Return the number (n,) of each distractor's kind, by the shares that are stated."""
    shares = np.array([float(parameters[kind]) for kind in KINDS[1:]])
    edges = np.cumsum(np.concatenate([[max(0.0, 1 - shares.sum())], shares]))[:-1]
    return np.searchsorted(edges, columns.rng.random(columns.n), side="right")


def _compose(columns: Columns, setting: Setting) -> None:
    kinds = _kinds(columns, setting.parameters)
    chosen = _Pieces(columns, setting)
    for number, kind in enumerate(KINDS):
        pieces = _Pieces(columns, setting)
        _ADD[kind](pieces)
        rows = kinds == number
        chosen.disc_magnitude[rows] = pieces.disc_magnitude[rows]
        for name, values in pieces.piece.items():
            chosen.piece[name][rows] = values[rows]
    columns.put("kind", kinds.astype(np.float64))
    _put_pieces(columns, setting.prefix, chosen)
    _put_disc(columns, setting.prefix, chosen)


def _put_pieces(columns: Columns, prefix: str, chosen: _Pieces) -> None:
    """Put the columns of the eight Sersics."""
    e1, e2 = ellipticity(chosen.piece["q"], chosen.piece["phi"])
    numbers = {**chosen.piece, "e1": e1, "e2": e2}
    for k in range(_PIECES):
        for name, values in numbers.items():
            if name not in ("q", "phi"):
                columns.put(f"{prefix}{k + 1}_{name}", values[:, k].copy())


def _put_disc(columns: Columns, prefix: str, chosen: _Pieces) -> None:
    """Put the columns of the disc with arms."""
    count = columns.n
    e1, e2 = ellipticity(chosen.uniform(0.4, 1.0), chosen.uniform(0, np.pi))
    disc = {
        "magnitude": chosen.disc_magnitude,
        "R_sersic": chosen.radius,
        "n_sersic": np.ones(count),
        "e1": e1,
        "e2": e2,
        "arms": chosen.rng.integers(2, 5, count).astype(np.float64),
        "arm_strength": chosen.uniform(0.5, 1.0),
        "winding": chosen.uniform(2.0, 7.0),
        "arm_phase": chosen.uniform(0, _FULL),
        "center_x": np.array(chosen.x),
        "center_y": np.array(chosen.y),
    }
    for name, column in disc.items():
        columns.put(f"{prefix}disc_{name}", column)


def _placed(columns: Columns, setting: Setting) -> None:
    """Give unlensed companions the light that the arcs would have."""
    values = columns.values
    rows = values["kind"] == KINDS.index("blue")
    gain = 2.5 * np.log10(np.maximum(values.get("magnification", np.ones(1)), 1e-3))
    for k in range(_PIECES):
        name = f"{setting.prefix}{k + 1}_magnitude"
        lit = rows & (values[name] < _DARK)
        values[name] = np.where(lit, values[name] - gain, values[name])


def _parts(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    pieces = [(f"{k}_", "sersic") for k in range(1, _PIECES + 1)]
    return [("disc_", "spiral"), *pieces]


DISTRACTOR = Composite(
    name="distractor",
    kind="light",
    required=("radius",),
    defaults=tuple((kind, 0.0) for kind in KINDS[1:]),
    one_of=("magnitude",),
    undrawn=KINDS[1:],
    parts=_parts,
    compose=_compose,
    placed=_placed,
    of_no_lens=True,
)
