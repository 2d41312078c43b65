"""Importers by name: a new one is a file and a line in `IMPORTERS`."""

from pathlib import Path
from typing import Any

from lenssim.data.exchange.deeplense import DeepLenseImporter
from lenssim.data.exchange.importer import Importer
from lenssim.data.exchange.importing import SILENT, Listeners
from lenssim.data.exchange.pairs import PairsImporter
from lenssim.data.exchange.plain_folder import PlainFolderImporter
from lenssim.data.exchange.telescope.challenge import ChallengeImporter
from lenssim.data.exchange.telescope.fits_folder import FitsImporter
from lenssim.data.format.manifest import Manifest
from lenssim.errors import unknown

__all__ = ["IMPORTERS", "import_folder", "importer_class"]

IMPORTERS: dict[str, type[Importer]] = {
    "deeplense": DeepLenseImporter,
    "folder": PlainFolderImporter,
    "fits": FitsImporter,
    "challenge": ChallengeImporter,
    "pairs": PairsImporter,
}


def importer_class(layout: str) -> type[Importer]:
    """Return the importer of a layout.

    Raises:
        ConfigError: There is none; the message suggests the nearest name.

    Example:
        >>> importer_class("pairs").model_fields["truth"].default
        'HR'
    """
    if layout not in IMPORTERS:
        raise unknown("layout", layout, IMPORTERS, code="unknown-layout")
    return IMPORTERS[layout]


def import_folder(
    layout: str, source: Path, folder: Path, listeners: Listeners = SILENT, **options: Any
) -> Manifest:
    """Turn a folder of images into a data set; errors as `Importer.import_folder`.

    Args:
        layout: Name of the importer.
        source: The folder of the images.
        folder: The data set's folder.
        listeners: Who is told of progress, of what is left out, and of the result.
        **options: Fields of the importer.
    """
    importer = importer_class(layout)(**options)
    return importer.import_folder(layout, source, folder, listeners)
