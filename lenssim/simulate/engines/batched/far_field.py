"""What masses are from afar: softened points, and what is added to them near the masses.

A set of kinds has a name, which data sets state: with more kinds in it, or other formulas,
the last digits of images change.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.engines.batched.halo_series import halo_series
from lenssim.simulate.engines.batched.profiles import tnfw
from lenssim.simulate.engines.batched.rays import POINT_COLUMNS
from lenssim.simulate.engines.batched.settings import (
    FAR_HALOES,
    FAR_SERIES,
    FAR_SOLITONS,
)
from lenssim.simulate.engines.batched.summands import (
    OUTER,
    SOLITON_SLOPE,
    NearHalo,
    NearSoliton,
    OuterHalo,
)
from lenssim.simulate.engines.batched.zones import Zone
from lenssim.simulate.profiles import PROFILES

__all__ = ["FarField", "FarKind", "far_fields", "soliton_far_field"]

PLUMMER_SLOPE = 2.5  # of the density; such a sphere is a softened point everywhere
Columns = Mapping[str, Tensor]  # of M masses (M,), by name


@dataclass(frozen=True)
class FarField:
    """The points (M, `POINT_COLUMNS`) of M masses, and the zones about them."""

    points: Tensor
    zones: tuple[Zone, ...]


@dataclass(frozen=True)
class FarKind:
    """The far field of a kind of mass.

    `split` takes columns and an error [arcsec]. `kernels` names the kernels of the zones,
    of columns in numpy.
    """

    split: Callable[[Columns, float], FarField]
    kernels: Callable[[Mapping[str, np.ndarray]], Sequence[str]]


def soliton_far_field(
    kappa_0: Tensor, theta_c: Tensor, slope: Tensor, error: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the softened point mass that a soliton is from afar.

    With a and p of `uldm.deflection` its deflection is S (1 - (1 + a (r / theta_c)^2)^-p) / r,
    S = kappa_0 theta_c^2 / (a p). So S is theta_E^2 of the point, and the rest falls with r
    to the power of -2 p - 1. Beyond `reach` it is less than half of `error` [arcsec]. The
    softening takes the other half: a point without one would be large near its middle,
    where it is subtracted again.

    Args:
        kappa_0: Central convergence (M,); it may be negative.
        theta_c: Core radius (M,) [arcsec].
        slope: Slope (M,) of the density.
        error: Largest error [arcsec] of the deflection beyond the reach.

    Returns:
        theta_E^2, softening^2 [arcsec^2] and reach [arcsec].
    """
    a = torch.expm1(math.log(2) / slope)
    p = slope - 1.5
    strength = kappa_0 * theta_c**2 / (a * p)
    size = strength.abs().clamp(min=torch.finfo(strength.dtype).tiny)
    rest = (2 * size / (error * theta_c)) ** (1 / p)
    reach = theta_c * ((rest - 1).clamp(min=0) / a).sqrt().clamp(min=1)
    softening = torch.minimum(theta_c**2, error / 2 * reach**3 / size)
    return strength, softening, reach


def _centres(columns: Columns) -> list[Tensor]:
    return [columns[name] for name in POINT_COLUMNS[2:]]


def _without_centre(columns: Columns) -> dict[str, Tensor]:
    return {name: column for name, column in columns.items() if name[:6] != "center"}


def _in_full(kind: str, softened: Callable[..., tuple[Tensor, Tensor, Tensor]]) -> FarKind:
    """Return the far field of masses that are points, or the formula of their kind in full."""

    def split(columns: Columns, error: float) -> FarField:
        strength, softening, reach = softened(**_without_centre(columns), error=error)
        points = torch.stack([strength, softening], dim=1)
        values = torch.stack([columns[name] for name in PROFILES[kind].columns], dim=1)
        zone = Zone(kind, torch.cat([values, points], dim=1), reach)
        centres = torch.stack(_centres(columns), dim=1)
        return FarField(torch.cat([points, centres], dim=1), (zone,))

    return FarKind(split, lambda columns: (kind,))


def _haloes(columns: Columns, error: float) -> FarField:
    """Return truncated haloes as points, as series from closer by, and in full near them."""
    halo = _without_centre(columns)
    strength, softening, reach = tnfw.far_field(**halo, error=error)
    coefficients, series_reach = halo_series(**halo, softening=softening, error=error)
    centres = _centres(columns)
    inner = torch.minimum(series_reach, reach)
    middle = torch.minimum(OUTER * halo["Rs"], inner)
    point = {"strength": strength, "softening": softening}
    near = NearHalo.columns(**halo, **point)
    outer = OuterHalo.columns(**halo, **point)
    series = [*centres, series_reach, *coefficients.unbind(1)]
    return FarField(
        torch.stack([strength, softening, *centres], dim=1),
        (
            Zone("near halo", torch.stack([*centres, *near], dim=1), middle),
            Zone("outer halo", torch.stack([*centres, *outer], dim=1), inner, middle),
            Zone("halo series", torch.stack(series, dim=1), reach, inner),
        ),
    )


def _solitons(columns: Columns, error: float) -> FarField:
    """Return solitons as points, and in full near them; Plummer's spheres are points."""
    kappa_0, theta_c, slope = (columns[name] for name in ("kappa_0", "theta_c", "slope"))
    strength, softening, reach = soliton_far_field(kappa_0, theta_c, slope, error)
    is_plummer = slope == PLUMMER_SLOPE
    is_soliton = slope == SOLITON_SLOPE
    exact = theta_c**2 / math.expm1(math.log(2) / PLUMMER_SLOPE)
    softening = torch.where(is_plummer, exact, softening)
    centres = _centres(columns)
    near = NearSoliton.columns(kappa_0, theta_c, strength, softening)
    values = [columns[name] for name in PROFILES["uldm"].columns]
    full = torch.stack([*values, strength, softening], dim=1)
    rest = torch.where(is_soliton | is_plummer, 0, reach)
    soliton = torch.stack([*centres, *near], dim=1)
    return FarField(
        torch.stack([strength, softening, *centres], dim=1),
        (
            Zone("near soliton", soliton, torch.where(is_soliton, reach, 0)),
            Zone("uldm", full, rest),
        ),
    )


def _soliton_kernels(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Return the kernels of the slopes that occur."""
    slopes = columns["slope"]
    kernels = []
    if (slopes == SOLITON_SLOPE).any():
        kernels.append("near soliton")
    if not np.isin(slopes, (SOLITON_SLOPE, PLUMMER_SLOPE)).all():
        kernels.append("uldm")
    return kernels


_HALOES = {"tnfw": _in_full("tnfw", tnfw.far_field)}
_FAR_FIELDS: dict[str, dict[str, FarKind]] = {
    FAR_HALOES: _HALOES,
    FAR_SOLITONS: {**_HALOES, "uldm": _in_full("uldm", soliton_far_field)},
    FAR_SERIES: {
        "tnfw": FarKind(
            _haloes, lambda columns: ("near halo", "outer halo", "halo series")
        ),
        "uldm": FarKind(_solitons, _soliton_kernels),
    },
}


def far_fields(name: str) -> dict[str, FarKind]:
    """Return the far fields of a set, by kind of mass."""
    return _FAR_FIELDS[name]
