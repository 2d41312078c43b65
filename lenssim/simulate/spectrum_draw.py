"""Colours of light whose preset states a kind of galaxy in place of numbers."""

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.component_choice import ComponentChoice
from lenssim.simulate.preset import Preset
from lenssim.simulate.profiles import COLOUR
from lenssim.simulate.sources.colours import GALAXY_TYPES, colour, filter_of

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
    codes = np.array([GALAXY_TYPES.index(kind) for kind in choice.spectrum])
    drawn = codes[columns.rng.integers(len(codes), size=columns.n)]
    kinds = columns.put(f"{prefix}spectrum", drawn.astype(np.float64))
    filters = {
        name: band.filter or filter_of(band.name)
        for name, band in zip(
            preset.instrument.band_names, preset.instrument.instruments, strict=True
        )
    }
    reference = choice.magnitude_band or next(iter(filters))
    for band, name in filters.items():
        if band == reference:
            continue
        column = np.zeros(columns.n)
        for code in np.unique(kinds):
            of_kind = kinds == code
            kind = GALAXY_TYPES[int(code)]
            column[of_kind] = colour(z[of_kind], kind, name, filters[reference])
        column = columns.put(f"{prefix}{COLOUR}{band}", column)
        if choice.composite is not None:
            for suffix, _ in choice.parts:
                columns.values[f"{prefix}{suffix}{COLOUR}{band}"] = column.copy()
