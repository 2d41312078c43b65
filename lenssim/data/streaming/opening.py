"""Opening a shard as the one that its data set's record describes."""

from pathlib import Path

import h5py

from lenssim.data.format.files import cause
from lenssim.data.format.reading import open_shard
from lenssim.data.format.records import ShardRecord
from lenssim.errors import DataError

__all__ = ["open_recorded"]


def open_recorded(path: Path, record: ShardRecord, config_hash: str) -> h5py.File:
    """Open a shard, and check that it is the one that its data set's record describes.

    Args:
        path: The shard's file.
        record: Its record in the manifest.
        config_hash: The sha256 of the data set's config, which every shard carries.

    Returns:
        The open file.

    Raises:
        DataError: The file is no shard, has another size, or belongs to another data set.
    """
    size = _file_size(path)
    if size != record.bytes:
        raise DataError(
            f"{path} has {size} bytes, the manifest states {record.bytes}: "
            "it was truncated or replaced",
            code="shard-size",
            path=path,
            size=size,
        )
    file = open_shard(path)
    if file.attrs.get("config_hash") != config_hash:
        file.close()
        raise DataError(
            f"{path} belongs to another data set: its config_hash is not the manifest's; "
            "put this data set's own shard there, or remove the file and repeat "
            "the command that made the data set",
            code="shard-of-another",
            path=path,
        )
    return file


def _file_size(path: Path) -> int:
    """Return the size of a file in bytes; `DataError` if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path} does not exist", code="no-file", path=path) from None
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {cause(error)}", code="unreadable-file", path=path
        ) from None
