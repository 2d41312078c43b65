"""Twins: several stamps of one galaxy, told by their names or their positions."""

import math
import re
from collections import defaultdict
from collections.abc import Sequence

from lenssim.simulate.sources.stamps import Entry

__all__ = ["galaxies_of", "stem_without_band"]

_LETTERS = "ugrizyjhk"
_BAND = re.compile(
    rf"f\d{{3,4}}[wmnlpx]{{1,2}}|[{_LETTERS}]|vis|(nir|nisp|hsc|des|sdss|ps1|uvista)[{_LETTERS}]?"
    r"|acs|wfc3?|uvis|nircam|band\d",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[_\-. ]+")
_SAME_PLACE = 0.5 / 3600  # degrees
_MOST_TWINS = 16  # at one position; more of them share a header, and not the sky


def stem_without_band(stem: str) -> str:
    """Return the name of a file without what names a band; the name itself if nothing is left.

    Example:
        >>> stem_without_band("galaxy-17_F814W"), stem_without_band("g")
        ('galaxy-17', 'g')
    """
    words = _SEPARATORS.split(stem)
    left = [word for word in words if not _BAND.fullmatch(word)]
    return "-".join(left) or stem


def galaxies_of(entries: Sequence[Entry]) -> list[list[int]]:
    """Return the stamps of each galaxy, by their numbers, in the order of the first ones.

    Stamps show the same galaxy if their files' names differ by a band alone, or if they
    show the same place of the sky within 0.5 arcsec.

    Args:
        entries: What the catalogue says of the stamps.

    Example:
        >>> galaxies_of([Entry("a", stem="7_g"), Entry("b", stem="8_g"), Entry("c", stem="7_r")])
        [[0, 2], [1]]
    """
    parent = list(range(len(entries)))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for group in (*_same_names(entries), *_same_places(entries)):
        for number in group[1:]:
            first, second = sorted((root(group[0]), root(number)))
            parent[second] = first
    galaxies: dict[int, list[int]] = defaultdict(list)
    for number in range(len(entries)):
        galaxies[root(number)].append(number)
    return list(galaxies.values())


def _same_names(entries: Sequence[Entry]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    enumerated = set()
    for number, entry in enumerate(entries):
        if not entry.stem:
            continue
        groups[stem_without_band(entry.stem)].append(number)
        words = _SEPARATORS.split(entry.stem)
        last = words[-1]
        if (
            len(words) > 1
            and len(last) == 1
            and last.isalpha()
            and not _BAND.fullmatch(last)
        ):
            enumerated.add("-".join(words[:-1]))  # letters that count galaxies: a, b, c ...
    return [group for stem, group in groups.items() if stem not in enumerated]


def _same_places(entries: Sequence[Entry]) -> list[list[int]]:
    """Return groups of stamps whose middles lie within 0.5 arcsec, by a grid of cells."""
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    groups: dict[int, list[int]] = {}
    for number, entry in enumerate(entries):
        ra, dec = entry.position
        if not (math.isfinite(ra) and math.isfinite(dec)):
            continue
        x = ra * math.cos(math.radians(dec))
        column = math.floor(x / _SAME_PLACE)
        row = math.floor(dec / _SAME_PLACE)
        near = [
            other
            for cell in _around(column, row)
            for other in cells[cell]
            if _distance(entries[other].position, (ra, dec)) < _SAME_PLACE
        ]
        cells[column, row].append(number)
        groups.setdefault(near[0] if near else number, []).append(number)
    return [group for group in groups.values() if len(group) <= _MOST_TWINS]


def _around(column: int, row: int) -> list[tuple[int, int]]:
    """Return a cell of a grid and the eight beside it."""
    steps = range(-1, 2)
    return [(column + dx, row + dy) for dx in steps for dy in steps]


def _distance(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the distance [deg] of two near positions."""
    scale = math.cos(math.radians(first[1]))
    return math.hypot((first[0] - second[0]) * scale, first[1] - second[1])
