"""The contract of an importer: how a folder of other people's images becomes a data set."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from lenssim.data.exchange.importing import (
    SILENT,
    ImportItem,
    ItemReader,
    Listeners,
    check_apart,
    checked_items,
    import_config,
    item_reader,
    note_tally,
    write_items,
)
from lenssim.data.exchange.published import PublishedImage
from lenssim.data.exchange.tally import Tally
from lenssim.data.exchange.twins import note_twins
from lenssim.data.format.manifest import Manifest
from lenssim.record import Record

__all__ = ["Importer", "Listing", "no_columns"]

Columns = Callable[[list[ImportItem], list[list[PublishedImage]]], dict[str, Any]]


def no_columns(
    items: list[ImportItem], images: list[list[PublishedImage]]
) -> dict[str, Any]:
    """Return no columns: files that hold images and nothing else."""
    return {}


@dataclass(frozen=True)
class Listing:
    """What lies in a folder that is to be imported.

    Attributes:
        classes: Names of the classes, by label.
        items: The samples, in the order of their numbers.
        config: What the data set's config says of the options, besides bands and extension.
        columns: Makes further fields of `Samples` from items and their images.
        reader: Reads the items; None: each of their files is an image.
    """

    classes: tuple[str, ...]
    items: list[ImportItem]
    config: dict[str, Any] = field(default_factory=dict)
    columns: Columns = no_columns
    reader: ItemReader | None = None


def _checked_bands(bands: Any) -> Any:
    """Return a number of bands, or their names, from what was typed or given."""
    if isinstance(bands, str):
        bands = [name.strip() for name in bands.split(",")]
        if len(bands) == 1 and bands[0].lstrip("-").isdecimal():
            bands = int(bands[0])
    if isinstance(bands, int | list | tuple):
        item_reader(bands, None)
    return bands


class Importer(Record, ABC):
    """A layout of images on disk. The fields of a subclass are its options.

    A new one is a file with a subclass and a line in `IMPORTERS`. It lists the files; all
    importers read, check and write them in the same way. The first line of its docstring is
    what `lenssim import --help` says.
    """

    source_help: ClassVar[str] = "Folder of the images."
    """What the folder is that the user names."""
    next_words: ClassVar[tuple[str, ...]] = ()
    """Words of a second command to look at the data set; its folder comes after the first."""

    bands: Annotated[int | tuple[str, ...], BeforeValidator(_checked_bands)] = Field(
        default=1,
        description="Bands of an image, or their names: g,r,i; bands come before rows and "
        "columns",
        json_schema_extra={"text": True},
    )
    extension: str | None = Field(
        default=None, description="The FITS extension, or array of .npz files, to read"
    )
    skip_bad: bool = Field(
        default=False, description="Leave out what cannot be used, and name it"
    )

    @abstractmethod
    def listing(self, source: Path, folder: Path, tally: Tally) -> Listing:
        """Return what is to be imported.

        Args:
            source: The folder that the user named.
            folder: The data set's folder, which may lie in it.
            tally: Counts what is left out.

        Raises:
            DataError: A folder cannot be used.
            ConfigError: An option does not fit the folder.
        """

    def hints(self, classes: tuple[str, ...]) -> list[str]:
        """Return what else a user may want to know of the classes."""
        return []

    def import_folder(
        self, layout: str, source: Path, folder: Path, listeners: Listeners = SILENT
    ) -> Manifest:
        """Turn a folder of images into a data set.

        All files are read and checked before anything is written. Each sample keeps the path
        of its file in `texts/file`.

        Args:
            layout: Name of the importer.
            source: The folder of the images.
            folder: The data set's folder.
            listeners: Who is told of progress, of what is left out, and of the result.

        Raises:
            DataError: A folder, file or table cannot be used; the message names it.
            ConfigError: An option does not fit the folder, or the images have several sizes.
        """
        check_apart(source, folder)
        tally = Tally(self.skip_bad, listeners.warn)
        reader = item_reader(self.bands, self.extension)
        listing = self.listing(source, folder, tally)
        reader = listing.reader or reader
        usable, digest = checked_items(source, listing.items, reader, tally)
        present = sorted({item.label for item in usable})
        for label, name in enumerate(listing.classes):
            if label not in present:
                listeners.warn(
                    f"skipped: the class {name}, none of whose files can be used"
                )
        if listing.reader is None:
            note_twins(usable, listeners.warn)
        classes = tuple(listing.classes[label] for label in present)
        items = [
            ImportItem(present.index(item.label), item.name, item.paths) for item in usable
        ]
        config = import_config(layout, source, items, digest, reader) | listing.config
        manifest = write_items(
            folder, classes, config, items, reader, listing.columns, listeners.report
        )
        for hint in self.hints(classes):
            listeners.note(hint)
        note_tally(tally, len(items), listeners.note)
        return manifest
