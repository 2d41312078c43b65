"""The stamps of the Gravitational Lens Finding Challenge, from space or from the ground."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, override

from pydantic import Field

from lenssim.data.exchange.tally import Tally
from lenssim.data.exchange.telescope.fits_folder import TelescopeImporter
from lenssim.data.exchange.telescope.planes import LensFiles, Plane, files_below
from lenssim.errors import DataError
from lenssim.names import printable

__all__ = ["ChallengeImporter"]

_STAMP = re.compile(r"image(?:SDSS|EUC)_([A-Za-z]+)-(\d+)\.fits(?:\.gz)?", re.IGNORECASE)
_GROUND = ("R", "I", "G", "U")  # Band1 to Band4
_CLASSES = ("nolens", "lens")  # also the names of folders; label 1 is a lens
_MASKED = 100.0


class ChallengeImporter(TelescopeImporter):
    """Import stamps of the Gravitational Lens Finding Challenge: VIS, or R I G U from the ground.

    Folders called lens and nolens, or a table with a column is_lens, give the classes. Pixels
    of the value 100 are masked. Stamps that lack a band, or have one twice, are named.
    """

    source_help: ClassVar[str] = "Folder of the stamps, such as imageEUC_VIS-100002.fits."

    masked_values: tuple[float, ...] = Field(
        default=(_MASKED,), json_schema_extra={"hidden": True}
    )

    @override
    def lenses(self, source: Path, folder: Path, tally: Tally) -> list[LensFiles]:
        planes: dict[str, list[Plane]] = {}
        for path in files_below(source, tally, folder):
            match = _STAMP.fullmatch(path.name)
            if match is None:
                tally.leave_out(
                    f"{printable(str(path))} is no stamp of the challenge: those are called "
                    "imageEUC_VIS-100002.fits or imageSDSS_R-100002.fits",
                    "files of other names",
                )
                continue
            planes.setdefault(match[2], []).append(
                Plane(path, None, match[1].upper(), "image")
            )
        lenses = [
            LensFiles(name, source, tuple(sorted(stamps, key=_place)))
            for name, stamps in sorted(planes.items())
        ]
        counts = Counter(tuple(dict.fromkeys(_bands(lens))) for lens in lenses)
        common = counts.most_common(1)[0][0] if counts else ()
        return [lens for lens in lenses if _is_complete(lens, common, tally)]

    @override
    def classes(
        self, lenses: Sequence[LensFiles]
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        class_of = {}
        for lens in lenses:
            folders = lens.planes[0].path.relative_to(lens.source).parts[:-1]
            named = [name for name in _CLASSES if name in map(str.lower, folders)]
            if len(named) == 1:
                class_of[lens.name] = named[0]
        if len(class_of) < len(lenses):
            return (), {}
        present = set(class_of.values())
        return tuple(name for name in _CLASSES if name in present), class_of


def _place(plane: Plane) -> tuple[int, str]:
    """Return where a band stands: R I G U, then any other by name."""
    if plane.band in _GROUND:
        return _GROUND.index(plane.band), ""
    return len(_GROUND), plane.band


def _bands(lens: LensFiles) -> list[str]:
    return [plane.band for plane in lens.planes]


def _is_complete(lens: LensFiles, common: tuple[str, ...], tally: Tally) -> bool:
    """Tell whether a stamp has the bands that most have, each once; else it is left out."""
    bands = _bands(lens)
    error = None
    if len(set(bands)) < len(bands):
        error = DataError(
            f"stamp {lens.name} has the band {max(bands, key=bands.count)} twice: "
            f"{', '.join(str(plane) for plane in lens.planes)}",
            code="image-unclear",
            lens=lens.name,
        )
    elif tuple(bands) != common:
        error = DataError(
            f"stamp {lens.name} has the bands {', '.join(bands)}, and most have "
            f"{', '.join(common)}; import stamps of space and ground apart",
            code="band-missing",
            lens=lens.name,
            bands=bands,
        )
    if error is not None:
        tally.leave_out_for(error, "stamps without all bands")
    return error is None
