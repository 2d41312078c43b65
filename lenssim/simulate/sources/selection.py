"""The selection of galaxies: which stamps of a catalogue become sources, and why others do not."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from lenssim.errors import ConfigError, unknown
from lenssim.record import Record
from lenssim.simulate.sources.catalogue import check_band
from lenssim.simulate.sources.frame import resampled
from lenssim.simulate.sources.isolation import Isolated, deconvolved, isolated, tapered
from lenssim.simulate.sources.stamps import Catalogue, Entry
from lenssim.simulate.sources.twins import galaxies_of

__all__ = ["MAX_GALAXIES", "Selected", "Selection", "selected"]

MAX_GALAXIES = 16384  # of 64 kB each
_MOST_NAMES = 5  # of stamps left out for one reason, in a message
_CHANNELS = {"r": 0, "g": 1, "b": 2}  # of a picture


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError(f"the lower limit comes first, got {list(limits)}")
    return limits


Limits = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Selection(Record):
    """Which galaxies of a catalogue are shown, and what is done to their images.

    Stamps that are dark or damaged are always left out, and stamps of one galaxy in several
    bands count once.

    Attributes:
        signal_to_noise: Least flux of a galaxy, in the noise of its pixels' sum.
        half_light_radius: Least and largest radius of half the light [pixels].
        magnitude: Brightest and faintest magnitude of the catalogue.
        redshift: Least and largest redshift of the catalogue.
        kinds: Classes of the catalogue, such as `ans` of Galaxy10.
        neighbours: Largest flux of other objects in the stamp, in the galaxy's.
        edge: What becomes of galaxies that the edge of their stamp cuts through: they are
            left out, or fade towards the edge.
        only: Galaxies by number, from 0, among those that pass the catalogue's cuts.
        band: Which of several images of a galaxy is shown: a number, r, g or b of a
            picture, or a text in the stamp's name. Default: the mean of a picture's
            colours, and else the first.
        denoise: Whether noise is taken away, see `starlets.denoised`.
        deconvolve: Whether the PSF of the catalogue is taken away.
        frame: "half_light" for images in units of the half-light radius, "native" for
            stamps as they are, less the median of the first rows and columns.
    """

    signal_to_noise: float = Field(default=10.0, ge=0, le=1e6)
    half_light_radius: Limits | None = None
    magnitude: Limits | None = None
    redshift: Limits | None = None
    kinds: tuple[int, ...] | None = None
    neighbours: float | None = Field(default=None, ge=0, le=1e6)
    edge: Literal["leave_out", "taper"] = "leave_out"
    only: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    band: str | None = None
    denoise: bool = False
    deconvolve: bool = False
    frame: Literal["half_light", "native"] = "half_light"


@dataclass(frozen=True)
class Selected:
    """Galaxies that passed a selection.

    Attributes:
        images: Images float32 (K, S, S) of sum 1, or (K, C, S, S) of stamps with C colours.
        identities: The sha256 of each galaxy's stamp as it lies in the file, (K,).
        names: Names (K,) in the catalogue.
        stamps: Number of stamps of the catalogue.
        twins: Number of stamps that show a galaxy once more.
        left_out: Names of stamps left out, by reason.
    """

    images: np.ndarray
    identities: tuple[str, ...]
    names: tuple[str, ...]
    stamps: int
    twins: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def report(self) -> str:
        """What was left out, with counts; "" if every stamp is shown."""
        parts = [
            f"{len(names)} {reason} ({_listed(names)})"
            for reason, names in self.left_out.items()
        ]
        if self.twins:
            parts.append(f"{self.twins} stamps of the same galaxies in other bands")
        if not parts:
            return ""
        return (
            f"{len(self.names)} of {self.stamps} stamps are sources; left out: "
            + "; ".join(parts)
        )


def _listed(names: Sequence[str]) -> str:
    shown = [str(name) for name in names[:_MOST_NAMES]]
    return ", ".join([*shown, "..."] if len(names) > _MOST_NAMES else shown)


class _Sorting:
    """Sorts stamps out and remembers why."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.entries = catalogue.entries
        self.left_out: dict[str, list[str]] = {}

    def leave_out(self, number: int, reason: str) -> None:
        self.left_out.setdefault(reason, []).append(self.entries[number].name)

    def passing(
        self, numbers: list[int], reason: str, passes: Callable[[Entry], bool]
    ) -> list[int]:
        left = [number for number in numbers if not passes(self.entries[number])]
        for number in left:
            self.leave_out(number, reason)
        return [number for number in numbers if number not in set(left)]


def selected(catalogue: Catalogue, selection: Selection) -> Selected:
    """Return the galaxies of a catalogue that pass a selection, ready to be shown.

    Args:
        catalogue: The stamps.
        selection: What is asked for.

    Raises:
        ConfigError: Nothing passes, too much does, or the catalogue does not say what a cut
            needs.
        DataError: A stamp cannot be read.
    """
    sorting = _Sorting(catalogue)
    galaxies = galaxies_of(catalogue.entries)
    numbers = [_shown_stamp(catalogue.entries, group, selection.band) for group in galaxies]
    check_band(catalogue, numbers, selection.band)
    numbers = _within_catalogue(numbers, selection, sorting)
    if len(numbers) > MAX_GALAXIES:
        raise ConfigError(
            f"{len(numbers)} galaxies pass the catalogue's cuts; give at most {MAX_GALAXIES}, "
            "by magnitude, redshift, kinds or only",
            code="galaxy-count",
        )
    images = []
    names = []
    identities: dict[str, int] = {}
    for number in numbers:
        stamp = np.asarray(catalogue.image(number))
        identity = _identity(stamp)
        if identity in identities:
            sorting.leave_out(number, "equal to another stamp")
            continue
        image = _shown(stamp, catalogue, number, selection, sorting)
        if image is not None:
            identities[identity] = number
            images.append(image)
            names.append(catalogue.entries[number].name)
    if not images:
        raise ConfigError(
            _nothing(len(catalogue.entries), sorting.left_out), code="no-galaxy-passes"
        )
    if len({image.shape for image in images}) > 1:
        raise ConfigError(
            "stamps that are shown as they are need the same number of pixels; "
            "leave `frame: native` out",
            code="galaxy-selection",
        )
    return Selected(
        np.stack(images),
        tuple(identities),
        tuple(names),
        len(catalogue.entries),
        len(catalogue.entries) - len(galaxies),
        sorting.left_out,
    )


def _nothing(stamps: int, left_out: dict[str, list[str]]) -> str:
    reasons = "; ".join(f"{len(names)} {reason}" for reason, names in left_out.items())
    message = f"none of {stamps} stamps is a galaxy that can be shown: {reasons}"
    if any("edge" in reason for reason in left_out):
        message += ". `edge: taper` shows those that are cut, fading towards the edge"
    return message


def _identity(stamp: np.ndarray) -> str:
    pixels = np.ascontiguousarray(stamp, dtype="<f4")
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _shown_stamp(entries: Sequence[Entry], group: Sequence[int], band: str | None) -> int:
    """Return the stamp of a galaxy that is shown: that of the band, or the first."""
    if band is not None and len(group) > 1:
        words = [number for number in group if band.lower() in entries[number].name.lower()]
        if words:
            return words[0]
    return group[0]


def _within_catalogue(
    numbers: list[int], selection: Selection, sorting: _Sorting
) -> list[int]:
    """Return the stamps that pass the cuts by what the catalogue says of them."""
    for name in ("magnitude", "redshift"):
        limits = getattr(selection, name)
        if limits is None:
            continue
        values = np.array([getattr(sorting.entries[number], name) for number in numbers])
        if not np.isfinite(values).any():
            raise ConfigError(
                f"the catalogue of galaxies states no {name}: leave that cut out",
                code="galaxy-selection",
                name=name,
            )
        low, high = limits
        numbers = sorting.passing(
            numbers,
            f"of a {name} outside {low:g} to {high:g}",
            partial(_is_within, name=name, limits=limits),
        )
    if selection.kinds is not None:
        kinds = set(selection.kinds)
        present = {sorting.entries[number].kind for number in numbers} - {-1}
        if not present & kinds:
            raise unknown(
                "kind of galaxy",
                str(min(kinds, default=-1)),
                map(str, present),
                code="galaxy-selection",
            )
        numbers = sorting.passing(
            numbers, "of other kinds", lambda entry: entry.kind in kinds
        )
    if selection.only is not None:
        if selection.only and max(selection.only) >= len(numbers):
            raise ConfigError(
                f"`only` names galaxy {max(selection.only)}, and {len(numbers)} pass the cuts "
                "(counted from 0)",
                code="galaxy-selection",
            )
        numbers = [numbers[place] for place in selection.only]
    return numbers


def _is_within(entry: Entry, name: str, limits: tuple[float, float]) -> bool:
    return bool(limits[0] <= getattr(entry, name) <= limits[1])


def _shown(
    stamp: np.ndarray,
    catalogue: Catalogue,
    number: int,
    selection: Selection,
    sorting: _Sorting,
) -> np.ndarray | None:
    """Return the image of one galaxy, or None after saying why it is left out."""
    if selection.frame == "native":
        return _as_it_is(stamp, number, sorting)
    entry = catalogue.entries[number]
    galaxy = isolated(
        _one_band(stamp, selection.band), entry.variance, catalogue.correlation
    )
    if galaxy is None:
        sorting.leave_out(number, "dark, tiny or damaged: such a stamp is no galaxy")
        return None
    reason = _reason(galaxy, selection)
    if reason:
        sorting.leave_out(number, reason)
        return None
    light = galaxy.denoised() if selection.denoise else galaxy.light
    if selection.deconvolve:
        if catalogue.psf is None:
            raise ConfigError(
                "`deconvolve` needs a catalogue of galaxies with PSFs",
                code="galaxy-selection",
            )
        light = np.where(galaxy.mask, deconvolved(light, catalogue.psf(number)), 0.0)
    if galaxy.is_cut:
        light = tapered(light, galaxy.half_light_radius)
    if not light.sum() > 0:
        sorting.leave_out(number, "without light that stands out of the noise")
        return None
    return resampled(light, galaxy.light)


def _reason(galaxy: Isolated, selection: Selection) -> str:
    """Return why a galaxy is left out, "" if it is not."""
    if galaxy.signal_to_noise < selection.signal_to_noise:
        return f"of a signal to noise below {selection.signal_to_noise:g}"
    if selection.half_light_radius is not None:
        low, high = selection.half_light_radius
        if not low <= galaxy.half_light_radius <= high:
            return f"of a half-light radius outside {low:g} to {high:g} pixels"
    if selection.neighbours is not None and galaxy.neighbours > selection.neighbours:
        return f"with neighbours of more than {selection.neighbours:g} of their flux"
    if galaxy.is_cut and selection.edge == "leave_out":
        return "cut by the edge of their stamps"
    return ""


def _one_band(stamp: np.ndarray, band: str | None) -> np.ndarray:
    """Return one image (H, W) of a stamp that may have several."""
    if stamp.ndim != 3:
        return stamp
    if band is None:
        return stamp.mean(0)
    channel = _CHANNELS.get(band.lower(), band)
    if not str(channel).isdigit() or int(channel) >= len(stamp):
        raise ConfigError(
            f"galaxies with {len(stamp)} images each have no band {band!r}: give its number, "
            "from 0",
            code="galaxy-selection",
            band=band,
        )
    return stamp[int(channel)]


def _as_it_is(stamp: np.ndarray, number: int, sorting: _Sorting) -> np.ndarray | None:
    """Return a stamp less the median of a corner, as DeepLense's Model IV shows galaxies."""
    pixels = np.asarray(stamp, dtype=np.float64)
    if pixels.ndim not in (2, 3) or not np.isfinite(pixels).all():
        sorting.leave_out(number, "with pixels that are no numbers")
        return None
    corner = pixels[..., :50, :50]
    level = np.median(corner, axis=(-2, -1), keepdims=True)
    light = pixels - level
    if (light.sum((-2, -1)) <= 0).any():
        sorting.leave_out(number, "dark")
        return None
    return light.astype(np.float32)
