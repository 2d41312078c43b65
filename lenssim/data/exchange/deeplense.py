"""The published DeepLense layout: folders of classes that hold one image a file."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.exchange.importing import (
    SILENT,
    ImportItem,
    ItemReader,
    Listeners,
    Say,
    checked_bands,
    checked_items,
    import_config,
    note_tally,
    write_items,
)
from lenssim.data.exchange.listing import (
    MASSES,
    choose_split,
    list_classes,
    published_names,
)
from lenssim.data.exchange.masses import read_masses
from lenssim.data.exchange.published import PublishedImage
from lenssim.data.exchange.tally import Tally
from lenssim.data.format.manifest import Manifest
from lenssim.errors import ConfigError
from lenssim.names import is_name, printable

__all__ = ["import_deeplense"]


def import_deeplense(
    source: Path,
    folder: Path,
    *,
    skip_bad: bool = False,
    split: str | None = None,
    map_classes: Mapping[str, str] | None = None,
    bands: int = 1,
    extension: str | None = None,
    listeners: Listeners = SILENT,
) -> Manifest:
    """Turn a folder of class folders of images into a data set; the axion mass becomes `log10_m_axion`.

    Samples are numbered class by class in turn, so that every prefix is balanced. Each keeps its file's path in
    `texts/file`. All files are read and checked before anything is written.

    Args:
        source: The folder that holds the class folders, or with `split` the folder that holds train, val and test.
        folder: The data set's folder.
        skip_bad: Leave out what cannot be used, with a call of `warn` each; otherwise it is an error that names it.
        split: "train", "validation" or "test"; it is written into the config.
        map_classes: Names of classes by the names of their folders.
        bands: How many bands an image has.
        extension: Name or number of the FITS extension, or name of the array in .npz files, that is the image.
        listeners: Who is told of progress, of what is left out, and of the result.

    Raises:
        DataError: A folder, file or table cannot be used; the message names it.
        ConfigError: An option does not fit the folder, or the images have several sizes.
    """
    tally = Tally(skip_bad, listeners.warn)
    reader = ItemReader(checked_bands(bands), extension)
    renamed = _checked_names(map_classes or {})
    root = choose_split(source, split)
    listed = list_classes(root, renamed, folder, tally)
    every = [
        ImportItem(label, path.relative_to(root).as_posix(), (path,))
        for label, path in listed.files
    ]
    masses = read_masses(root / MASSES, {item.name for item in every})
    items, digest = checked_items(source, every, reader, tally)
    present = sorted({item.label for item in items})
    classes = tuple(listed.classes[label] for label in present)
    items = [ImportItem(present.index(item.label), item.name, item.paths) for item in items]
    for label, name in enumerate(listed.classes):
        if label not in present:
            listeners.warn(f"skipped: the class {name}, none of whose files can be used")
    config = import_config("deeplense", source, items, digest, reader)
    config |= {"split": split} if split is not None else {}
    config |= {"map_classes": renamed} if renamed else {}
    columns = partial(_mass_columns, masses)
    manifest = write_items(
        folder, classes, config, items, reader, columns, listeners.report
    )
    _hint_at_names(classes, listeners.note)
    note_tally(tally, len(items), listeners.note)
    return manifest


def _checked_names(map_classes: Mapping[str, str]) -> dict[str, str]:
    """Return the names of classes by folder; `ConfigError` if one cannot be a name."""
    for name in map_classes.values():
        if not is_name(name):
            raise ConfigError(
                f"--map-classes: {printable(name)!r} cannot be the name of a class",
                code="bad-name",
                name=name,
            )
    return dict(map_classes)


def _mass_columns(
    masses: Mapping[str, float],
    rows: list[ImportItem],
    images: list[list[PublishedImage]],
) -> dict[str, Any]:
    """Return the axion masses of images: those in the files, else those of the table `masses`."""
    log10_mass = []
    for item, (image,) in zip(rows, images, strict=True):
        if image.mass is not None:
            log10_mass.append(np.log10(image.mass))
        else:
            log10_mass.append(masses.get(item.name, np.nan))
    return {
        "params": {"log10_m_axion": np.array(log10_mass, dtype=np.float64)},
        "units": {"log10_m_axion": "dex(eV)"},
    }


def _hint_at_names(classes: tuple[str, ...], note: Say) -> None:
    """Tell which names the presets give to these classes, if they have others."""
    likely = published_names(classes)
    if likely:
        mapping = ",".join(f"{old}={new}" for old, new in likely.items())
        note(
            f"hint: --map-classes {mapping} gives classes the names and order of presets I to III"
        )
