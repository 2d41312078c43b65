"""Opening shards that may come from strangers.

Nothing outside the file is touched, and what the file claims is checked first.
"""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lenssim.data.format.maps import PICTURES
from lenssim.data.format.shard import Samples
from lenssim.data.format.storage import compression, decode
from lenssim.data.format.structure import check_structure
from lenssim.errors import DataError
from lenssim.simulate.scenes import Perturbers

__all__ = ["LinkError", "check_inside", "decoded", "open_shard", "read_samples"]


def open_shard(path: Path, data: bytes | None = None) -> h5py.File:
    """Open a shard that may come from a stranger.

    Whoever opens a shard of a data set calls `check_inside` first.

    Args:
        path: The shard's file.
        data: Its bytes, where they were read already.

    Returns:
        The open file.

    Raises:
        DataError: It is missing, truncated, of another schema, holds links out of the file,
            or its datasets do not have the shapes and types of a shard.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist", code="no-file", path=path)
    try:
        file, size = _open(path, data)
    except OSError as error:
        raise DataError(
            f"{path} cannot be opened as HDF5 (truncated or damaged): {error}",
            code="unreadable-shard",
            path=path,
        ) from None
    try:
        check_structure(file, path, size)
    except DataError:
        file.close()
        raise
    except Exception as error:  # h5py raises many kinds for a damaged structure
        file.close()
        raise DataError(
            f"{path} has a damaged HDF5 structure: {error}",
            code="unreadable-shard",
            path=path,
        ) from None
    return file


def _open(path: Path, data: bytes | None) -> tuple[h5py.File, int]:
    """Return an open file and its size in bytes.

    HDF5's lock is not asked for. Whole files are renamed into place, and whoever renamed one may
    hold its lock a moment longer. Some file systems have no locks.
    """
    if data is None:
        return h5py.File(path, "r", locking=False), path.stat().st_size
    return h5py.File(io.BytesIO(data), "r"), len(data)


class LinkError(DataError):
    """A part of a data set's folder is a link to another place."""


def check_inside(path: Path, folder: Path) -> None:
    """Check that a shard's file and its folder do not lead out of their data set.

    A link is fine if its target is in the data set's folder, as those of git-annex are. A
    stranger's data set must not make anybody read a file elsewhere.

    Args:
        path: The shard's file in `shards/`, or `shards/` itself; it need not exist.
        folder: The data set's folder, which may be a link itself.

    Raises:
        LinkError: It is a link to another place. The message names the target.
    """
    for part in (path.parent, path):
        if part == folder or not part.is_symlink():
            continue
        target = part.resolve()
        if folder.resolve() not in target.parents:
            raise LinkError(
                f"{part} is a link that leaves the data set's folder (to {target}); "
                "copy what it stands for to its "
                f"place, or move all of {folder} to that disk: "
                "a data set's folder itself may be a link",
                code="link-outside",
                path=part,
                target=target,
            )


def decoded(file: h5py.File, rows: slice | int = slice(None)) -> np.ndarray:
    """Return images of an open shard, whatever their storage.

    Args:
        file: The open shard.
        rows: Some rows, or one.

    Returns:
        Images float32 (k, C, H, W), or (C, H, W) for one row.
    """
    dataset = file["images"]
    if dataset.chunks is not None:
        compression()  # loads the plugin
    if "scale" not in file:
        return np.asarray(dataset[rows])
    if isinstance(rows, int):
        return decoded(file, slice(rows, rows + 1))[0]
    return decode(dataset[rows], file["scale"][rows])


def read_samples(path: Path, data: bytes | None = None) -> Samples:
    """Read everything that a shard holds.

    Args:
        path: The shard's file.
        data: Its bytes, where they were read already.

    Returns:
        The samples, with their images as stored.

    Raises:
        DataError: As for `open_shard`, or images that cannot be decompressed.
    """
    with open_shard(path, data) as file:
        params = {name: column[...] for name, column in file.get("params", {}).items()}
        scale = None
        if "scale" in file:
            scale = file["scale"][...]
        return Samples(
            images=_stored_images(file, path),
            labels=file["labels"][...],
            index=file["index"][...],
            params=params,
            perturbers=_perturbers(file),
            units=_units(file),
            attributes=_attributes(file),
            texts=_texts(file),
            scale=scale,
            truth={name: file[name][...] for name in PICTURES if name in file},
            compress=file["images"].chunks is not None,
        )


def _stored_images(file: h5py.File, path: Path) -> np.ndarray:
    """Return the images (n, C, H, W) as stored."""
    if file["images"].chunks is not None:
        compression()  # loads the plugin
    try:
        return file["images"][...]
    except OSError as error:
        raise DataError(
            f"{path}: dataset images cannot be decompressed: {error}",
            code="unreadable-shard",
            path=path,
        ) from None


def _perturbers(file: h5py.File) -> dict[str, Perturbers]:
    """Return the tables of perturbers by kind."""
    tables = {}
    for kind, table in file.get("perturbers", {}).items():
        columns = {name: column[...] for name, column in table.items() if name != "offset"}
        tables[kind] = Perturbers(table["offset"][...], columns)
    return tables


def _units(file: h5py.File) -> dict[str, str]:
    """Return the units of datasets by their names without groups."""
    units: dict[str, str] = {}
    groups = (file, file.get("params", {}), *file.get("perturbers", {}).values())
    for group in groups:
        for name, dataset in group.items():
            if "units" in dataset.attrs:
                units[name] = str(dataset.attrs["units"])
    return units


def _attributes(file: h5py.File) -> dict[str, Any]:
    """Return the root attributes; long ones are datasets of their own."""
    attributes = {name: value for name, value in file.attrs.items() if name != "schema"}
    for name, text in file.get("attributes", {}).items():
        attributes[name] = bytes(text[()]).decode()
    return attributes


def _texts(file: h5py.File) -> dict[str, list[str]]:
    """Return the columns of strings."""
    return {
        name: [text.decode() for text in dataset[...]]
        for name, dataset in file.get("texts", {}).items()
    }
