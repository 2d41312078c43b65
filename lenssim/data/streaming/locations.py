"""Where a data set lies: in a folder, behind a URL with a cache of it here, or in a folder that still grows."""

from pathlib import Path

from lenssim.data.streaming.folder import Folder
from lenssim.data.streaming.growing import Growing
from lenssim.data.streaming.remote import Remote
from lenssim.data.streaming.urls import is_url, path_of, reading
from lenssim.errors import ConfigError

__all__ = [
    "FOLLOW",
    "Folder",
    "Growing",
    "Remote",
    "complete",
    "is_url",
    "locate",
    "path_of",
    "reading",
]

FOLLOW = "follow:"


def complete(place: Path | str) -> Folder | Remote:
    """A data set that is whole, in a folder or behind a URL; `ConfigError` for one that is followed."""
    found = locate(place)
    if isinstance(found, Growing):
        raise ConfigError(f"{place} may still grow: give its folder once it is complete")
    return found


def locate(place: Path | str) -> Folder | Remote | Growing:
    """What `place` means: a folder, a URL, or `follow:` and the folder of a generation that may still run."""
    text = str(place)
    if text.startswith(FOLLOW):
        return Growing(Path(text.removeprefix(FOLLOW)))
    if is_url(place):
        return Remote(text)
    return Folder(Path(place))
