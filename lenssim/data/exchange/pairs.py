"""Pairs of images with the same file names in two folders, as super-resolution sets are published."""

from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.exchange.importing import (
    SILENT,
    ImportItem,
    ItemReader,
    Listeners,
    checked_bands,
    checked_items,
    import_config,
    note_tally,
    write_items,
)
from lenssim.data.exchange.listing import files_in
from lenssim.data.exchange.published import PublishedImage
from lenssim.data.exchange.tally import Tally
from lenssim.data.format.manifest import Manifest
from lenssim.data.format.maps import PAIRED
from lenssim.errors import ConfigError
from lenssim.names import printable

__all__ = ["import_pairs"]

_PAIR_CLASS = "lens"  # the one class of pairs, whose folders say nothing else


def import_pairs(
    source: Path,
    folder: Path,
    *,
    image: str = "LR",
    truth: str = "HR",
    skip_bad: bool = False,
    bands: int = 1,
    extension: str | None = None,
    listeners: Listeners = SILENT,
) -> Manifest:
    """Turn two folders of images with the same file names into a data set: images, and pictures `hr` beside them.

    Args:
        source: The folder that holds both.
        folder: The data set's folder.
        image: Name of the folder whose files become the images.
        truth: Name of the folder whose files become the pictures `hr`, which may have another size.
        skip_bad: Leave out what cannot be used, with a call of `warn` each; otherwise it is an error that names it.
        bands: How many bands an image has.
        extension: Name or number of the FITS extension, or name of the array in .npz files, that is the image.
        listeners: Who is told of progress, of what is left out, and of the result.

    Raises:
        DataError: A folder or file cannot be used, or has no partner of its name; the message names it.
        ConfigError: Both folders are one, or the images have several sizes.
    """
    tally = Tally(skip_bad, listeners.warn)
    reader = ItemReader(checked_bands(bands), extension)
    homes = (source / image, source / truth)
    if homes[0].resolve() == homes[1].resolve():
        raise ConfigError(
            f"the images and their truth are in one folder, {printable(str(homes[0]))}",
            code="same-folder",
        )
    paired = _paired_files(homes, tally)
    every = [ImportItem(0, f"{image}/{name}", paths) for name, paths in paired.items()]
    items, digest = checked_items(source, every, reader, tally)
    config = import_config("pairs", source, items, digest, reader) | {"truth": [PAIRED]}
    config |= {"folders": [image, truth]}
    manifest = write_items(
        folder, (_PAIR_CLASS,), config, items, reader, _truth_columns, listeners.report
    )
    note_tally(tally, len(items), listeners.note)
    return manifest


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
