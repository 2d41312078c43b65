"""Magnitudes of galaxies in the filters of cameras, by type and redshift."""

import csv
from functools import lru_cache
from importlib import resources

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.names import printable
from lenssim.simulate.cosmology import Cosmology

__all__ = [
    "GALAXY_TYPES",
    "apparent_magnitude",
    "colour",
    "colours_of_types",
    "filter_of",
    "filters",
    "magnitudes_of_types",
]

GALAXY_TYPES = ("E", "Sbc", "Scd", "Im")
_DARK = 20.0  # mag, of a band that lies blueward of all known light
_ALIASES = {  # instruments that are named after the camera's mode
    "rubin_": "lsst_",
    "decam_": "des_",
    "nisp_": "euclid_nisp_",
    "nir_": "euclid_nisp_",
}


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, dict[tuple[str, str], np.ndarray]]:
    """Return redshifts (Z,), and the magnitudes (Z,) of each type and filter."""
    text = resources.files(__package__).joinpath("galaxy_colours.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    redshifts = np.array([float(row["z"]) for row in rows if row["type"] == "E"])
    names = [name for name in rows[0] if name not in ("type", "z")]
    magnitudes = {}
    for kind in GALAXY_TYPES:
        of_type = [row for row in rows if row["type"] == kind]
        for name in names:
            values = [float(row[name]) if row[name] else np.nan for row in of_type]
            magnitudes[kind, name] = np.array(values)
    return redshifts, magnitudes


def filters() -> list[str]:
    """Return the names of the filters that are known.

    Example:
        >>> "euclid_vis" in filters()
        True
    """
    return sorted({name for _, name in _table()[1]})


def filter_of(instrument: str) -> str:
    """Return the filter that the name of an instrument contains.

    Args:
        instrument: Name of an instrument, of one band.

    Raises:
        ConfigError: It contains none.

    Example:
        >>> filter_of("hst_wfc3_f160w"), filter_of("euclid_vis_2021")
        ('wfc3_f160w', 'euclid_vis')
    """
    name = instrument.lower()
    candidates = {name}
    for alias, known in _ALIASES.items():
        candidates.add(name.replace(alias, known))
    found = [known for known in filters() if any(known in text for text in candidates)]
    if not found:
        raise ConfigError(
            f"the filter of {printable(instrument)} is not known by its name; give `filter`, one "
            f"of {', '.join(filters())}",
            code="unknown-filter",
            instrument=instrument,
        )
    return max(found, key=len)


def apparent_magnitude(
    absolute: np.ndarray, z: np.ndarray, filter_name: str, kind: str, cosmology: Cosmology
) -> np.ndarray:
    """Return AB magnitudes (N,) of galaxies in a filter.

    Spectra are those of Coleman, Wu & Weedman 1980 and do not evolve.

    Args:
        absolute: Absolute magnitudes (N,) in SDSS r at rest.
        z: Redshifts (N,), at most 6.
        filter_name: Name of the filter, one of `filters`.
        kind: Type of the galaxies, one of `GALAXY_TYPES`.
        cosmology: The cosmology, for distances.

    Raises:
        ConfigError: The filter or type is unknown, or sees nothing known of such galaxies.

    Example:
        >>> z = np.array([0.2])
        >>> cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
        >>> apparent_magnitude(np.array([-22.76]), z, "lsst_i", "E", cosmology).round(1)
        array([17.])
    """
    if kind not in GALAXY_TYPES:
        raise unknown(
            "type of galaxy", printable(kind), GALAXY_TYPES, code="unknown-filter"
        )
    inside = _magnitudes_seen(z, kind, filter_name)
    _check_known(inside, z, kind, filter_name, "state its magnitude")
    metres = (1 + z) * cosmology.comoving_distance(z) * 1e6 / 10
    return absolute + inside + 5 * np.log10(metres)


def colour(z: np.ndarray, kind: str, filter_name: str, reference: str) -> np.ndarray:
    """Return AB magnitudes (N,) in a filter, less those in another one.

    Spectra are those of `apparent_magnitude`. A filter that lies blueward of all known light
    sees a galaxy 20 mag fainter.

    Args:
        z: Redshifts (N,), at most 6.
        kind: Type of the galaxies, one of `GALAXY_TYPES`.
        filter_name: Name of the filter, one of `filters`.
        reference: Name of the other filter.

    Raises:
        ConfigError: A filter is unknown, or the reference sees nothing known.

    Example:
        >>> colour(np.array([0.5]), "E", "lsst_g", "lsst_i").round(1)
        array([2.6])
    """
    seen = _magnitudes_seen(z, kind, filter_name)
    compared = _magnitudes_seen(z, kind, reference)
    _check_known(compared, z, kind, reference, "state its magnitude in another band")
    return np.where(np.isfinite(seen), seen - compared, _DARK)


def colours_of_types(
    z: np.ndarray, types: np.ndarray, filter_name: str, reference: str
) -> np.ndarray:
    """Return the colours (N,) of galaxies, each of its own type; see `colour`.

    Args:
        z: Redshifts (N,).
        types: The number of each type (N,) in `GALAXY_TYPES`.
        filter_name: Name of the filter.
        reference: Name of the other filter.

    Example:
        >>> colours_of_types(np.array([0.5, 0.5]), np.array([0, 1]), "lsst_g", "lsst_i").round(1)
        array([2.6, 1.8])
    """
    column = np.zeros(len(z))
    for code in np.unique(types):
        of_type = types == code
        kind = GALAXY_TYPES[int(code)]
        column[of_type] = colour(z[of_type], kind, filter_name, reference)
    return column


def magnitudes_of_types(
    z: np.ndarray, types: np.ndarray, filter_name: str, cosmology: Cosmology
) -> np.ndarray:
    """Return the magnitudes (N,) of galaxies of M_r = 0, each of its own type.

    Args:
        z: Redshifts (N,).
        types: The number of each type (N,) in `GALAXY_TYPES`.
        filter_name: Name of the filter.
        cosmology: The cosmology.

    Raises:
        ConfigError: As `apparent_magnitude`.

    Example:
        >>> cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
        >>> magnitudes_of_types(np.array([0.2]), np.array([0]), "lsst_i", cosmology).round(1)
        array([39.7])
    """
    column = np.zeros(len(z))
    for code in np.unique(types):
        of_type = types == code
        kind = GALAXY_TYPES[int(code)]
        zero = np.zeros(int(of_type.sum()))
        column[of_type] = apparent_magnitude(zero, z[of_type], filter_name, kind, cosmology)
    return column


def _check_known(
    magnitudes: np.ndarray, z: np.ndarray, kind: str, filter_name: str, remedy: str
) -> None:
    """Refuse redshifts at which a filter sees no light that is known."""
    is_known = np.isfinite(magnitudes)
    if is_known.all():
        return
    worst = float(np.asarray(z)[~is_known][0])
    raise ConfigError(
        f"the light of a galaxy of type {kind} at z = {worst:g} is not known in the filter "
        f"{filter_name}: {remedy}",
        code="unknown-filter",
        filter=filter_name,
    )


def _magnitudes_seen(z: np.ndarray, kind: str, filter_name: str) -> np.ndarray:
    """Return the table's magnitudes (N,) in a filter, NaN where nothing is known."""
    redshifts, magnitudes = _table()
    if filter_name not in filters():
        raise unknown("filter", printable(filter_name), filters(), code="unknown-filter")
    return np.interp(z, redshifts, magnitudes[kind, filter_name], right=np.nan)
