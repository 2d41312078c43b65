"""Double source planes: deflectors with a second source, as one lens each."""

from collections.abc import Mapping

import numpy as np

__all__ = ["SECOND", "with_second_sources"]

SECOND = "source2_"
"""Prefix of the columns of second sources."""

_DARK = 60.0  # mag, of a second source that is not there
_OF_THE_LENS = ("theta_E", "magnification", "n_images", "snr", "found", "arc_flux_ratio")


def with_second_sources(lenses: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one row for each deflector, with the columns of a second source.

    The first source of a deflector is the one that is found, or the one of the largest
    signal to noise. The second one follows in this order. Where there is none, its
    magnitude is 60 and its numbers as a lens are NaN.

    Args:
        lenses: Columns (N,) of ideal lenses, a row for each pair of deflector and source.

    Returns:
        Columns (K,) of the K deflectors, in the order of the sky. The columns of the second
        source begin with `source2_`, and `source2_z` is its redshift.
    """
    places, deflector = np.unique(lenses["drawn_area"], return_inverse=True)
    order = np.lexsort((-lenses["snr"], -lenses["found"], deflector))
    first = np.searchsorted(deflector[order], np.arange(len(places)))
    following = np.minimum(first + 1, len(order) - 1)
    is_double = (deflector[order[following]] == np.arange(len(places))) & (
        following > first
    )
    main = order[first]
    second = order[np.where(is_double, following, first)]
    columns = {name: column[main] for name, column in lenses.items()}
    return columns | _second_columns(lenses, second, is_double)


def _second_columns(
    lenses: Mapping[str, np.ndarray], rows: np.ndarray, is_double: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the columns (K,) of the second sources, which are `rows` (K,) of the lenses."""
    columns = {
        SECOND + name.removeprefix("source_"): column[rows]
        for name, column in lenses.items()
        if name.startswith("source_")
    }
    columns[f"{SECOND}z"] = lenses["z_source"][rows]
    magnitude = columns[f"{SECOND}magnitude"]
    columns[f"{SECOND}magnitude"] = np.where(is_double, magnitude, _DARK)
    for name in _OF_THE_LENS:
        columns[SECOND + name] = np.where(is_double, lenses[name][rows], np.nan)
    return columns
