"""Colours of light whose preset states a kind of galaxy in place of numbers."""

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.component_choice import ComponentChoice
from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.preset import Preset
from lenssim.simulate.profiles import COLOUR
from lenssim.simulate.sources.colours import GALAXY_TYPES, colours_of_types, filter_of

__all__ = ["draw_spectra"]


def draw_spectra(preset: Preset, columns: Columns) -> None:
    """Draw the kind of galaxy of each light that states a `spectrum`, and put its colours.

    The column `spectrum` is the number of the kind in `GALAXY_TYPES`. Sources have the
    spectrum at their redshift, and lens light at that of the lens.

    Args:
        preset: The preset.
        columns: The columns (n,) being drawn, on the random stream of colours.
    """
    behind = {id(choice) for choice in preset.source}
    for prefix, choice in preset.prefixed():
        if choice.spectrum:
            plane = "z_source" if id(choice) in behind else "z_lens"
            _put_colours(preset, columns, prefix, choice, columns.values[plane])


def _put_colours(
    preset: Preset, columns: Columns, prefix: str, choice: ComponentChoice, z: np.ndarray
) -> None:
    kinds = columns.put(f"{prefix}spectrum", _drawn_kinds(choice.spectrum, columns))
    filters = _filters(preset.instrument)
    reference = choice.magnitude_band or next(iter(filters))
    for band in filters:
        if band == reference:
            continue
        column = colours_of_types(z, kinds, filters[band], filters[reference])
        column = columns.put(f"{prefix}{COLOUR}{band}", column)
        for suffix in _suffixes(choice):
            columns.values[f"{prefix}{suffix}{COLOUR}{band}"] = column.copy()


def _drawn_kinds(spectrum: tuple[str, ...], columns: Columns) -> np.ndarray:
    """Return the number of the kind of galaxy (n,) that each image draws."""
    codes = np.array([GALAXY_TYPES.index(kind) for kind in spectrum], dtype=np.float64)
    return codes[columns.rng.integers(len(codes), size=columns.n)]


def _filters(camera: AnyCamera) -> dict[str, str]:
    """Return the name of the filter of each band."""
    bands = zip(camera.band_names, camera.instruments, strict=True)
    return {name: band.filter or filter_of(band.name) for name, band in bands}


def _suffixes(choice: ComponentChoice) -> list[str]:
    """Return what the prefixes of a composite's parts end with; none of a profile's own."""
    if choice.composite is None:
        return []
    return [suffix for suffix, _ in choice.parts]
