"""Where a data set is stored: a folder, a URL, or a folder that still grows."""

from pathlib import Path

from lenssim.data.streaming.folder import DatasetInfo, LocalFolder
from lenssim.data.streaming.growing import GrowingFolder
from lenssim.data.streaming.remote import RemoteFolder
from lenssim.data.streaming.urls import is_url, path_of, reading
from lenssim.errors import ConfigError
from lenssim.folders import lies_in

__all__ = [
    "FOLLOW",
    "DatasetInfo",
    "GrowingFolder",
    "LocalFolder",
    "Location",
    "RemoteFolder",
    "check_apart",
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


def check_apart(location: Location, target: Path) -> None:
    """Refuse to copy a data set into itself.

    A data set that is copied onto itself would be taken for the finished copy, damage and all.

    Args:
        location: Where the data set is stored.
        target: Folder of the copy.

    Raises:
        ConfigError: The target is the data set's folder, or lies in it.
    """
    home = location.origin
    if getattr(home, "protocol", "") not in ("", "file", "local"):
        return
    if lies_in(target, Path(home)):
        raise ConfigError(
            f"{target} is the data set {home} itself or lies in it; choose another --out",
            code="same-folder",
            place=home,
            target=target,
        )


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
