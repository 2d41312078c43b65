"""Elliptical galaxies whose light fits the mass of their lens, by the fundamental plane."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.columns import Columns
from lenssim.simulate.composites.composite import Composite, Setting
from lenssim.simulate.profiles import COLOUR
from lenssim.simulate.sources.colours import apparent_magnitude, filter_of
from lenssim.simulate.sources.early_types import (
    GAUSSIANS,
    absolute_magnitude,
    effective_radius,
    gaussians,
    isothermal_dispersion,
)

__all__ = ["ELLIPTICALS"]

_TYPE = "E"
# A bulge and its envelope: shares of the flux, sizes in R_e and Sersic indices. Together
# they have half of their light within 1.0 R_e.
_BULGE = (0.4, 0.42, 4.0)
_ENVELOPE = (0.6, 1.37, 1.0)

Parts = Sequence[tuple[float, float, float]]  # share of flux, radius [R_e], Sersic index


def _compose(columns: Columns, setting: Setting, parts: Callable[[], Parts]) -> None:
    prefix = setting.prefix
    values = columns.values
    sigma_v = _dispersions(columns, setting)
    z_lens = values["z_lens"]
    absolute = absolute_magnitude(sigma_v) + values[f"{prefix}luminosity_scatter"]
    kpc = effective_radius(sigma_v) * 10 ** values[f"{prefix}size_scatter"]
    absolute = columns.put(f"{prefix}absolute_magnitude", absolute)
    radius = columns.put(f"{prefix}R_half", kpc / setting.cosmology.kpc_per_arcsec(z_lens))
    filters = _filters(setting)
    magnitudes = {
        band: apparent_magnitude(absolute, z_lens, name, _TYPE, setting.cosmology)
        for band, name in filters.items()
    }
    first = next(iter(magnitudes))
    total = columns.put(f"{prefix}magnitude", magnitudes[first])
    shape = _shape(columns, setting)
    n_sersic = values.get(f"{prefix}n_sersic")
    for k, (share, size, index) in enumerate(parts()):
        part = f"{prefix}part{k + 1}_"
        columns.put(f"{part}magnitude", total - 2.5 * np.log10(share))
        columns.put(f"{part}R_sersic", size * radius)
        fixed = np.full(columns.n, index)
        columns.put(f"{part}n_sersic", fixed if n_sersic is None else n_sersic)
        for name, column in shape.items():
            columns.put(part + name, column)
        if _states_colours(setting):
            continue
        for band, magnitude in magnitudes.items():
            if band and band != first:
                columns.put(f"{part}{COLOUR}{band}", magnitude - magnitudes[first])


def _dispersions(columns: Columns, setting: Setting) -> np.ndarray:
    """Return the velocity dispersions (n,): those stated, or else those of the lenses."""
    name = f"{setting.prefix}sigma_v"
    if name in columns.values:
        return columns.values[name]
    return columns.put(name, _of_the_lens(columns, setting))


def _of_the_lens(columns: Columns, setting: Setting) -> np.ndarray:
    """Return the velocity dispersions of the lenses, from their Einstein radii."""
    if setting.lens is None:
        raise ConfigError(
            "light that fits the mass needs a lens with an Einstein radius; or give sigma_v",
            code="no-lens-mass",
        )
    values = columns.values
    z_source = values.get("z_source_convention", values["z_source"])
    return isothermal_dispersion(
        values[f"{setting.lens}theta_E"], values["z_lens"], z_source, setting.cosmology
    )


def _shape(columns: Columns, setting: Setting) -> dict[str, np.ndarray]:
    """Return ellipticity and centre of the light: those stated, or else those of the lens.

    `e1_offset` and `e2_offset` are added, where they are stated.
    """
    shape = {}
    for name in ("e1", "e2", "center_x", "center_y"):
        column = columns.values.get(setting.prefix + name)
        if column is None and setting.lens is not None:
            column = columns.values.get(setting.lens + name)
        shape[name] = np.zeros(columns.n) if column is None else column
        offset = columns.values.get(f"{setting.prefix}{name}_offset")
        if offset is not None:
            shape[name] = shape[name] + offset
    return shape


def _states_colours(setting: Setting) -> bool:
    return any(name.startswith(COLOUR) for name in setting.parameters)


def _filters(setting: Setting) -> dict[str, str]:
    """Return the name of the filter of each band; with stated colours, of the first alone."""
    camera = setting.camera
    names = camera.band_names or ("",)
    instruments = camera.instruments
    if _states_colours(setting) or setting.filter:
        names = names[:1]
        instruments = instruments[:1]
    return {
        band: setting.filter or instrument.filter or filter_of(instrument.name)
        for band, instrument in zip(names, instruments, strict=True)
    }


def _parts(parameters: Mapping[str, Any], count: int) -> list[tuple[str, str]]:
    return [(f"part{k + 1}_", "sersic") for k in range(count)]


def _single() -> Parts:
    return [(1.0, 1.0, 4.0)]


def _double() -> Parts:
    return [_BULGE, _ENVELOPE]


def _multi_gaussian() -> Parts:
    shares, radii = gaussians()
    return [(share, radius, 0.5) for share, radius in zip(shares, radii, strict=True)]


def _elliptical(
    name: str, parts: Callable[[], Parts], count: int, *defaults: tuple[str, float]
) -> Composite:
    return Composite(
        name=name,
        kind="light",
        required=(),
        defaults=(
            ("luminosity_scatter", {"normal": [0.0, 0.0625]}),
            ("size_scatter", {"normal": [0.0, 0.11]}),
            *defaults,
        ),
        optional=("sigma_v", "e1", "e2", "e1_offset", "e2_offset", "center_x", "center_y"),
        parts=partial(_parts, count=count),
        compose=partial(_compose, parts=parts),
    )


ELLIPTICALS = (
    _elliptical("elliptical", _single, 1, ("n_sersic", 4.0)),
    _elliptical("elliptical_double", _double, 2),
    _elliptical("elliptical_gaussians", _multi_gaussian, GAUSSIANS),
)
