"""A folder of images that belong to no class."""

from pathlib import Path
from typing import ClassVar, override

from lenssim.data.exchange.importer import Importer, Listing
from lenssim.data.exchange.importing import ImportItem
from lenssim.data.exchange.listing import files_in
from lenssim.data.exchange.tally import Tally
from lenssim.data.format.labels import UNLABELLED, unlabelled_config

__all__ = ["PlainFolderImporter"]


class PlainFolderImporter(Importer):
    """Import images that lie in one folder: a data set without labels.

    Samples are numbered in the order of their files' names.
    """

    source_help: ClassVar[str] = "Folder that holds the images."

    @override
    def listing(self, source: Path, folder: Path, tally: Tally) -> Listing:
        paths = files_in(source, tally, without=folder)
        items = [ImportItem(0, path.name, (path,)) for path in paths]
        return Listing((UNLABELLED,), items, unlabelled_config())
