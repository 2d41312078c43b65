"""Where a data set is stored: a folder, a URL, or a folder that still grows."""

from pathlib import Path

from lenssim.data.streaming.folder import DatasetInfo, LocalFolder
from lenssim.data.streaming.growing import GrowingFolder
from lenssim.data.streaming.remote import RemoteFolder
from lenssim.data.streaming.urls import is_url, path_of, reading
from lenssim.errors import ConfigError

__all__ = [
    "FOLLOW",
    "DatasetInfo",
    "GrowingFolder",
    "LocalFolder",
    "Location",
    "RemoteFolder",
    "is_url",
    "open_complete",
    "open_location",
    "path_of",
    "reading",
]

FOLLOW = "follow:"

Location = LocalFolder | RemoteFolder | GrowingFolder


def open_complete(place: Path | str) -> LocalFolder | RemoteFolder:
    """Open a complete data set.

    Args:
        place: A folder or a URL.

    Returns:
        The location.

    Raises:
        ConfigError: The data set may still grow.
        DataError: There is no complete data set.
    """
    location = open_location(place)
    if isinstance(location, GrowingFolder):
        raise ConfigError(
            f"{place} may still grow: give its folder once it is complete",
            code="incomplete-folder",
            place=place,
        )
    return location


def open_location(place: Path | str) -> Location:
    """Open the place where a data set is stored.

    Args:
        place: A folder, a URL that fsspec knows, or `follow:` and the folder of a
            generation that may still run.

    Returns:
        The location.

    Raises:
        DataError: There is no data set.
    """
    text = str(place)
    if text.startswith(FOLLOW):
        return GrowingFolder(Path(text.removeprefix(FOLLOW)))
    if is_url(place):
        return RemoteFolder(text)
    return LocalFolder(Path(place))
