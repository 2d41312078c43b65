"""Pairs of images with the same file names in two folders, as super-resolution sets are published."""

from pathlib import Path
from typing import Any, ClassVar, override

import numpy as np
from pydantic import Field

from lenssim.data.exchange.importer import Importer, Listing
from lenssim.data.exchange.importing import ImportItem
from lenssim.data.exchange.listing import files_in
from lenssim.data.exchange.published import PublishedImage
from lenssim.data.exchange.tally import Tally
from lenssim.data.format.maps import PAIRED
from lenssim.errors import ConfigError
from lenssim.names import printable

__all__ = ["PairsImporter"]

_PAIR_CLASS = "lens"  # the one class of pairs, whose folders say nothing else


class PairsImporter(Importer):
    """Import pairs of images with the same file names in two folders, as super-resolution sets are published.

    The second image of a pair is kept as the map `hr`; it may have another size.
    """

    source_help: ClassVar[str] = "Folder that holds the two folders of images."
    next_words: ClassVar[tuple[str, ...]] = ("show", "--picture", PAIRED)

    image: str = Field(default="LR", description="Folder of the images")
    truth: str = Field(
        default="HR", description="Folder of the pictures kept beside them as hr"
    )

    @override
    def listing(self, source: Path, folder: Path, tally: Tally) -> Listing:
        homes = (source / self.image, source / self.truth)
        if homes[0].resolve() == homes[1].resolve():
            raise ConfigError(
                f"the images and their truth are in one folder, {printable(str(homes[0]))}",
                code="same-folder",
            )
        paired = _paired_files(homes, tally)
        items = [
            ImportItem(0, f"{self.image}/{name}", paths) for name, paths in paired.items()
        ]
        config = {"truth": [PAIRED], "folders": [self.image, self.truth]}
        return Listing((_PAIR_CLASS,), items, config, _truth_columns)


def _truth_columns(
    rows: list[ImportItem], images: list[list[PublishedImage]]
) -> dict[str, Any]:
    """Return the second image of each pair as a map."""
    return {"truth": {PAIRED: np.stack([fine.pixels for _, fine in images])}}


def _paired_files(homes: tuple[Path, Path], tally: Tally) -> dict[str, tuple[Path, Path]]:
    """Return the files of both folders by their common name; the tally takes the others."""
    names = [{path.name: path for path in files_in(home, tally)} for home in homes]
    for home, files, partners in zip(homes, names, reversed(names), strict=True):
        unpaired = sorted(set(files) - set(partners))
        if unpaired:
            tally.leave_out(
                f"{printable(str(home))} holds {len(unpaired)} files without a partner of the same name, "
                f"the first {printable(unpaired[0])}",
                "files without a partner",
                len(unpaired),
            )
    common = sorted(set(names[0]) & set(names[1]))
    return {name: (names[0][name], names[1][name]) for name in common}
