"""What the names of files, folders and extensions say: the lens, the band, and the role of an image."""

import re
from dataclasses import dataclass
from pathlib import PurePath

__all__ = ["ROLES", "NameParts", "is_band", "parts_of_name", "parts_of_path"]

ROLES: dict[str, frozenset[str]] = {
    "image": frozenset(
        [
            "image",
            "images",
            "img",
            "data",
            "sci",
            "science",
            "drz",
            "drc",
            "bgsub",
            "cutout",
            "cutouts",
            "stamp",
            "stamps",
            "flux",
            "primary",
            "coadd",
        ]
    ),
    "sigma": frozenset(
        [
            "noise",
            "noisemap",
            "rms",
            "sigma",
            "err",
            "errs",
            "error",
            "errors",
            "unc",
            "uncertainty",
            "std",
            "stddev",
        ]
    ),
    "variance": frozenset(["var", "variance"]),
    "weight": frozenset(["wht", "weight", "weights", "ivar", "invvar"]),
    "psf": frozenset(["psf", "psfs", "kernel", "kernels"]),
    "flags": frozenset(["flag", "flags", "dq", "badpix"]),
    "mask": frozenset(["mask", "masks"]),
}
"""Words that name the role of an image."""

_SILENT = frozenset(["map", "maps", "compressed"])  # say nothing beside the word of a role
_SEPARATORS = re.compile(r"[\s_\-.]+")
_LETTER = r"(?:[ugrizyjhk]|ks)"
_SURVEY = (
    r"(?:des|decam|hsc|lsst|rubin|sdss|ps1|panstarrs|kids|cfht|megacam|wishes|vista|uvista)"
)
_BAND = re.compile(
    rf"vis|{_LETTER}|(?:nir|nisp)_?[yjh]|{_SURVEY}_?{_LETTER}|euclid_(?:vis|[yjh])"
    r"|(?:(?:acs|wfc3|wfpc2|uvis|ir|hst|nircam|jwst|wfi)_){0,2}f\d{3,4}[wmnlpx]{1,2}"
    r"|f(?:062|087|106|129|146|158|184|213)|band_?\d+",
    re.IGNORECASE,
)
_MOST_BAND_WORDS = 3
_ENDING = re.compile(r"\.(?:fits|fit|fts|npy|h5|hdf5)(?:\.gz|\.fz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class NameParts:
    """What a name says: each part is empty if it says nothing of it.

    Attributes:
        name: What is left: the name of the lens.
        band: The band, as it is written.
        role: A key of `ROLES`.
    """

    name: str = ""
    band: str = ""
    role: str = ""


def is_band(text: str) -> bool:
    """Tell whether a text looks like the name of a band.

    Example:
        >>> is_band("NIR_H"), is_band("F814W"), is_band("lens")
        (True, True, False)
    """
    return _BAND.fullmatch(text) is not None


def parts_of_name(text: str) -> NameParts:
    """Return what a name without folders says, such as that of a file or an extension.

    Example:
        >>> parts_of_name("DES_G_BGSUB")
        NameParts(name='', band='DES_G', role='image')
        >>> parts_of_name("J0029-0055_F814W_noise_map")
        NameParts(name='J0029-0055', band='F814W', role='sigma')
    """
    words = [word for word in _SEPARATORS.split(text) if word]
    spans = [match.span() for match in re.finditer(r"[^\s_\-.]+", text)]
    roles = [_role(word) for word in words]
    role = next((role for role in roles if role and role != "image"), "")
    if not role and any(roles):
        role = "image"
    rest = [
        number
        for number, word in enumerate(words)
        if not roles[number] and not (role and word.lower() in _SILENT)
    ]
    band_words = _band_words(words, rest)
    band = "_".join(words[number] for number in band_words)
    left = [number for number in rest if number not in band_words]
    name = ""
    if left and left[-1] - left[0] + 1 == len(left):  # as it is written
        name = text[spans[left[0]][0] : spans[left[-1]][1]]
    elif left:
        name = "_".join(words[number] for number in left)
    return NameParts(name, band, role)


def parts_of_path(path: PurePath) -> NameParts:
    """Return what a path says, relative to the folder that is imported.

    Folders may name the lens, the band or the role. The name of a folder that the file
    repeats counts once.

    Example:
        >>> parts_of_path(PurePath("J0029/vis/noise_map.fits"))
        NameParts(name='J0029', band='vis', role='sigma')
        >>> parts_of_path(PurePath("psf/J0029.fits"))
        NameParts(name='J0029', band='', role='psf')
    """
    last = parts_of_name(_ENDING.sub("", path.name))
    names = [last.name] if last.name else []
    band = last.band
    role = last.role
    for folder in reversed(path.parts[:-1]):
        if not band and is_band(folder):
            band = folder
        elif folder_role := _role(folder):
            role = role or folder_role
        elif not names or names[0] != folder:
            names.insert(0, folder)
    return NameParts("/".join(names), band, role)


def _role(word: str) -> str:
    """Return the role that a word names, or ""."""
    lowered = word.lower()
    return next((role for role, words in ROLES.items() if lowered in words), "")


def _band_words(words: list[str], rest: list[int]) -> list[int]:
    """Return which of the words that are left name the band: the last ones, or the first."""
    for count in range(min(_MOST_BAND_WORDS, len(rest)), 0, -1):
        for chosen in (rest[-count:], rest[:count]):
            if is_band("_".join(words[number] for number in chosen)):
                return chosen
    return []
