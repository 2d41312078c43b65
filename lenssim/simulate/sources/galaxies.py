"""Images of real galaxies as sources: where they are, which of them are shown, in which split."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import (
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from lenssim.errors import ConfigError, DataError, from_validation
from lenssim.notes import say_once
from lenssim.simulate.sources.catalogue import catalogue_files, read_catalogue
from lenssim.simulate.sources.first_recipe import first_recipe_images, first_recipe_rows
from lenssim.simulate.sources.galsim_layout import companion_files
from lenssim.simulate.sources.selection import Selected, Selection, selected
from lenssim.simulate.sources.splits import FEWEST, rows_of_split
from lenssim.simulate.streams import split_code

__all__ = ["Galaxies", "check_shown"]

_RECIPE = 2  # of new data sets


class Galaxies(Selection):
    """Where images of galaxies are, relative to the preset's own file, and which are shown.

    `path` is a .npy, .fits, .h5 or .png file, a catalogue in GalSim's real-galaxy layout,
    or a folder of any of these. Every image of a data set depends on their contents, so the
    `sha256` of the contents stays with the data set, and files that have changed are
    refused; `beside` is that of the PSFs, noise and redshifts beside a catalogue. The
    `path` is empty where a data set's own record is read: it names contents only, and
    `Preset.with_galaxies` says where they are.

    A galaxy's split follows from the hash of its own stamp. So it never changes, whatever
    else the files hold: of ten galaxies about one is for the split `validation`, one for
    `test`, the others for `train`. A record without `recipe` is one of version 0.1.
    """

    path: str = ""
    sha256: str = ""
    beside: str = ""
    recipe: Literal[1, 2] = 1

    @model_validator(mode="before")
    @classmethod
    def _with_hash(cls, data: object, info: ValidationInfo) -> object:
        if isinstance(data, str):
            data = {"path": data}
        if (
            not isinstance(data, dict)
            or data.get("sha256")
            or not isinstance(data.get("path", ""), str)
        ):
            return data
        if not data.get("path"):  # to be given on the command line
            return {**data, "recipe": _RECIPE}
        folder = (info.context or {}).get("folder", ".")
        path = Path(folder, data["path"]).expanduser().resolve()
        try:
            files = catalogue_files(path)
            sha256 = _digest(files)
            beside = _digest(companion_files(files))
        except (ConfigError, DataError, OSError) as error:
            raise ValueError(f"cannot read galaxies: {error}") from None
        hashes = {"sha256": sha256, "beside": beside}
        return {**data, "path": str(path), "recipe": _RECIPE, **hashes}

    @model_serializer(mode="wrap")
    def _stated(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Leave out what has its default, so that records of version 0.1 stay what they are."""
        document: dict[str, Any] = handler(self)
        stated = {"path": document["path"], "sha256": document["sha256"]}
        for name, value in document.items():
            if name not in stated and value != type(self).model_fields[name].default:
                stated[name] = value
        return stated

    def at(self, path: str | Path) -> "Galaxies":
        """Return the same galaxies, which are at `path` now."""
        where = str(Path(path).expanduser().resolve())
        if self.sha256:
            return self.model_copy(update={"path": where})
        document = {**self.model_dump(), "path": where}
        try:
            return type(self).model_validate(document)
        except ValidationError as error:
            raise from_validation(error, "galaxies") from None

    def images(self) -> np.ndarray:
        """Return the galaxies that are shown, float32.

        Returns:
            Images (K, GALAXY_SIDE, GALAXY_SIDE) in the common frame, or stamps as they are.

        Raises:
            ConfigError: The files are missing, unreadable or have changed, or hold no
                galaxy that passes the selection.
        """
        return self._loaded().images

    def of(self, split: str) -> np.ndarray:
        """Return the rows of `images` that a split may show.

        Raises:
            ConfigError: There are none.
        """
        loaded = self._loaded()
        count = len(loaded.images)
        if self.recipe == 1:
            rows = first_recipe_rows(count, split_code(split))
        else:
            rows = rows_of_split(loaded.identities, split_code(split))
        if not len(rows):
            raise ConfigError(
                f"{self.path} holds {count} galaxies, none of them for the split {split!r}: every "
                f"tenth is, so give at least {FEWEST}",
                code="too-few-galaxies",
                path=self.path,
                split=split,
            )
        return rows

    def _loaded(self) -> Selected:
        if not self.path:
            known = f" with the sha256 {self.sha256[:16]}..." * bool(self.sha256)
            raise ConfigError(
                f"the images of galaxies{known} are needed, and it is not known where they are; "
                "give --galaxies PATH",
                code="galaxies-missing",
            )
        if not Path(self.path).exists():
            raise ConfigError(
                f"the galaxies are not at {self.path}; give --galaxies PATH, where they are now",
                code="galaxies-missing",
                path=self.path,
            )
        return _load(self)


def check_shown(
    galaxies: Galaxies | None, sources: Sequence[Mapping[str, Any]], placement: object
) -> None:
    """Check that a preset shows galaxies as their frame needs it.

    Args:
        galaxies: The preset's galaxies, None if it has none.
        sources: The parameters of each source that shows galaxies.
        placement: The preset's placement, None if it has none.

    Raises:
        ValueError: There are galaxies and no such source, or the reverse, or a source does
            not state what the frame needs.
    """
    if (galaxies is None) == bool(sources) or any("amp" in source for source in sources):
        raise ValueError(
            "`galaxies` go with a source of profile interpolated that has R_half and magnitude"
        )
    if galaxies is None:
        return
    wanted = "scale" if galaxies.frame == "native" else "R_half"
    if any(wanted not in source for source in sources):
        raise ValueError(
            f"galaxies with `frame: {galaxies.frame}` go with a source that states {wanted}"
        )
    if galaxies.frame == "native" and placement is not None:
        raise ValueError("a placement needs galaxies with `frame: half_light`")


def _digest(files: list[Path]) -> str:
    if not files:
        return ""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


@lru_cache(maxsize=2)
def _load(galaxies: Galaxies) -> Selected:
    path = Path(galaxies.path)
    try:
        files = catalogue_files(path)
        changed = _digest(files) != galaxies.sha256
        if galaxies.recipe != 1:
            changed = changed or _digest(companion_files(files)) != galaxies.beside
        if changed:
            raise ConfigError(
                f"the galaxies in {path} are not those the data set was planned with (sha256 "
                "differs)",
                code="galaxies-differ",
                path=path,
            )
        if galaxies.recipe == 1:
            images = first_recipe_images(files, galaxies.path)
            return Selected(images, (), (), len(images))
        catalogue = read_catalogue(path)
        loaded = selected(catalogue, galaxies)
    except (DataError, OSError) as error:
        raise ConfigError(
            f"cannot read the galaxies in {path}: {error}",
            code="galaxies-unreadable",
            path=path,
        ) from None
    if loaded.report:
        say_once(f"galaxies-{galaxies.sha256[:12]}", f"galaxies in {path}: {loaded.report}")
    if catalogue.is_picture:
        say_once(
            f"pictures-{galaxies.sha256[:12]}",
            f"galaxies in {path} are 8-bit pictures: their brightness is what the picture "
            "shows, and not the light",
        )
    return loaded
