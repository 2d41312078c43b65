"""Folders that results are written into."""

from pathlib import Path

from lenssim.data.format.files import cause
from lenssim.errors import StorageError

__all__ = ["make_folder"]


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, unless it exists.

    Args:
        folder: The folder.

    Raises:
        StorageError: The disk is full, read-only or gone, or a file of that name is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {folder}: {cause(error)}; choose another, or mend that",
            code="write-failed",
            folder=folder,
        ) from None
