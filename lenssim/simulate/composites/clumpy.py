"""Clumpy galaxies: an exponential disc with clumps of young stars, without any data."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.composites.composite import Composite, Setting
from lenssim.simulate.distributions import sample, support

__all__ = ["CLUMPY"]

_DISC = "disc_"
_REACH = 2.0  # R_sersic of the disc, within which clumps lie
_B_EXPONENTIAL = 1.6721  # b_n of the disc
_MOST_IN_CLUMPS = 0.8  # of the flux
_DARK = 60.0  # mag of clumps that a galaxy does not have
_EACH = ("clump_share", "clump_size", "clump_n_sersic")


def _most(parameters: Mapping[str, Any]) -> int:
    """Return the largest number of clumps that may be drawn."""
    return int(np.rint(support(parameters["clumps"])[1]))


def _parts(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    clumps = [(f"clump{k}_", "sersic") for k in range(1, _most(parameters) + 1)]
    return [(_DISC, "sersic"), *clumps]


def _compose(columns: Columns, setting: Setting) -> None:
    prefix = setting.prefix
    values = {
        name: columns.values[prefix + name]
        for name in ("magnitude", "R_sersic", "e1", "e2", "center_x", "center_y")
    }
    counts = columns.put(f"{prefix}clumps", np.rint(columns.values[f"{prefix}clumps"]))
    most = _most(setting.parameters)
    shares, sizes, indices = (
        sample(setting.parameters[name], columns.rng, columns.n * most).reshape(
            columns.n, most
        )
        for name in _EACH
    )
    shares = _limited(np.where(np.arange(most) < counts[:, None], shares, 0.0))
    radius = _radius_of_disc_light(columns.rng.random((columns.n, most)))
    angle = columns.rng.uniform(0, 2 * np.pi, (columns.n, most))
    places = radius * np.exp(1j * angle) * values["R_sersic"][:, None]
    e = (values["e1"] + 1j * values["e2"])[:, None]
    places = (places + e * places.conj()) / np.sqrt(1 - np.abs(e) ** 2)
    disc = {
        **values,
        "magnitude": values["magnitude"] - 2.5 * np.log10(1 - shares.sum(1)),
        "n_sersic": columns.values[f"{prefix}n_sersic"],
    }
    _put(columns, prefix + _DISC, disc)
    zeros = np.zeros(columns.n)
    for k in range(most):
        share = shares[:, k]
        faint = -2.5 * np.log10(np.where(share > 0, share, 1.0))
        clump = {
            "magnitude": np.where(share > 0, values["magnitude"] + faint, _DARK),
            "R_sersic": sizes[:, k] * values["R_sersic"],
            "n_sersic": indices[:, k],
            "e1": zeros,
            "e2": zeros,
            "center_x": values["center_x"] + places[:, k].real,
            "center_y": values["center_y"] + places[:, k].imag,
        }
        _put(columns, f"{prefix}clump{k + 1}_", clump)


def _radius_of_disc_light(share: np.ndarray) -> np.ndarray:
    """Return the radii [R_sersic] within which an exponential disc has a share of its light.

    The light counts within two R_sersic. So clumps lie where stars do.
    """
    from scipy.special import gammainc

    radii = np.linspace(0, _REACH, 401)
    growth = gammainc(2.0, _B_EXPONENTIAL * radii)
    return np.interp(share, growth / growth[-1], radii)


def _limited(shares: np.ndarray) -> np.ndarray:
    """Return shares (n, K) of the flux, those above their smallest lowered until they sum to 0.8 at most."""
    lit = shares > 0
    smallest = np.where(lit, shares, np.inf).min(1, initial=np.inf, keepdims=True)
    floor = np.where(
        lit, np.minimum(smallest, _MOST_IN_CLUMPS / max(1, shares.shape[1])), 0.0
    )
    excess = shares - floor
    room = _MOST_IN_CLUMPS - floor.sum(1, keepdims=True)
    total = np.maximum(excess.sum(1, keepdims=True), 1e-300)
    return floor + excess * np.minimum(1.0, room / total)


def _put(columns: Columns, prefix: str, values: Mapping[str, np.ndarray]) -> None:
    for name, column in values.items():
        columns.put(prefix + name, column)


CLUMPY = Composite(
    name="clumpy",
    kind="light",
    required=("R_sersic", "e1", "e2"),
    defaults=(
        ("n_sersic", 1.0),
        ("clumps", {"uniform": [1.5, 12.5]}),
        ("clump_share", {"uniform": [0.02, 0.15]}),
        ("clump_size", {"uniform": [0.05, 0.2]}),
        ("clump_n_sersic", {"uniform": [0.5, 1.0]}),
        ("center_x", 0.0),
        ("center_y", 0.0),
    ),
    one_of=("magnitude",),
    undrawn=_EACH,
    parts=_parts,
    compose=_compose,
)
