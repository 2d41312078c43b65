"""The published DeepLense layout: folders of classes that hold one image a file."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, override

import numpy as np
from pydantic import BeforeValidator, Field

from lenssim.data.exchange.importer import Importer, Listing
from lenssim.data.exchange.importing import ImportItem
from lenssim.data.exchange.listing import (
    MASSES,
    choose_split,
    list_classes,
    published_names,
)
from lenssim.data.exchange.masses import read_masses
from lenssim.data.exchange.published import PublishedImage
from lenssim.data.exchange.tally import Tally
from lenssim.errors import ConfigError
from lenssim.names import is_name, printable

__all__ = ["DeepLenseImporter"]


def _class_names(names: Any) -> Any:
    """Return names of classes by folder, from FOLDER=CLASS,FOLDER=CLASS or a mapping."""
    if isinstance(names, str):
        names = _parsed_names(names)
    if isinstance(names, Mapping):
        for name in names.values():
            if not is_name(name):
                raise ConfigError(
                    f"--map-classes: {printable(name)!r} cannot be the name of a class",
                    code="bad-name",
                    name=name,
                )
    return names


def _parsed_names(text: str) -> dict[str, str]:
    """Return names of classes by folder, from FOLDER=CLASS,FOLDER=CLASS."""
    names: dict[str, str] = {}
    for part in text.split(","):
        folder, equals, name = part.strip().rpartition("=")
        if not equals or not folder or not name or folder in names:
            raise ConfigError(
                f"--map-classes takes FOLDER=CLASS,FOLDER=CLASS, each folder once; got {text!r}",
                code="option-format",
                option="map_classes",
                value=text,
            )
        names[folder] = name
    return names


class DeepLenseImporter(Importer):
    """Import class folders of .npy, .npz or FITS files, as DeepLense publishes them, axion masses included.

    Samples are numbered class by class in turn, so that every prefix is balanced. The axion
    mass becomes `log10_m_axion`.
    """

    source_help: ClassVar[str] = "Folder that holds the class folders, or their splits."
    next_words: ClassVar[tuple[str, ...]] = ("train", "classify", "--net", "cnn", "--data")

    split: str | None = Field(
        default=None,
        description="the folder above the class folders: train, validation or test",
    )
    map_classes: Annotated[dict[str, str] | None, BeforeValidator(_class_names)] = Field(
        default=None,
        description="Other names for the classes: FOLDER=CLASS,FOLDER=CLASS",
        json_schema_extra={"text": True},
    )

    @override
    def listing(self, source: Path, folder: Path, tally: Tally) -> Listing:
        renamed = self.map_classes or {}
        root = choose_split(source, self.split)
        listed = list_classes(root, renamed, folder, tally)
        items = [
            ImportItem(label, path.relative_to(root).as_posix(), (path,))
            for label, path in listed.files
        ]
        masses = read_masses(root / MASSES, {item.name for item in items})
        config: dict[str, Any] = {}
        if self.split is not None:
            config["split"] = self.split
        if renamed:
            config["map_classes"] = renamed
        return Listing(listed.classes, items, config, partial(_mass_columns, masses))

    @override
    def hints(self, classes: tuple[str, ...]) -> list[str]:
        likely = published_names(classes)
        if not likely:
            return []
        mapping = ",".join(f"{old}={new}" for old, new in likely.items())
        return [
            f"hint: --map-classes {mapping} gives classes the names and order of presets I to III"
        ]


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
