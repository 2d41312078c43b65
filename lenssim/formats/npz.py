"""The .npz archive: arrays by name, each of which is looked at before it is unpacked."""

import zipfile
from pathlib import Path
from typing import Any

from lenssim.formats.limits import (
    Refused,
    allowed_bytes,
    check_bytes,
    open_regular,
    refusing,
)
from lenssim.formats.npy import read_npy

__all__ = ["read_npz"]

_IMAGE_NAMES = (
    "image",
    "images",
    "arr_0",
)  # which array of several is the image, the first that is there
_MOST_MEMBERS = 1000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that numpy writes


def read_npz(path: Path, name: str | None = None) -> tuple[Any, str]:
    """Return one array of a .npz archive, and a remark if it was one of several ("" otherwise).

    Args:
        path: The file.
        name: The name of the array. Without it, the only array is read, or the one called image, images or arr_0.

    Raises:
        DataError: The file cannot be read, holds no such array, or does not say which of its arrays is meant.
    """
    with (
        refusing(path, ".npz"),
        open_regular(path) as (file, size),
        zipfile.ZipFile(file) as archive,
    ):
        members = _members(archive)
        chosen = _choice(list(members), name)
        member = members[chosen]
        limit = allowed_bytes(size)
        if member.compress_type not in _METHODS or member.flag_bits & 1:
            raise Refused(
                f"its array {chosen!r} is encrypted or packed in a way that numpy does not write"
            )
        check_bytes(member.file_size, limit)
        with archive.open(member) as stream:
            content = read_npy(stream, member.file_size, limit)
            if stream.read(1):  # also checks the sum of the last bytes
                raise Refused(f"its array {chosen!r} is longer than the archive states")
        unread = [repr(name) for name in members if name != chosen]
        remark = ""
        if unread:
            remark = f"took {chosen!r}, not {', '.join(unread)}"
        return content, remark


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    listed = archive.infolist()
    if len(listed) > _MOST_MEMBERS:
        raise Refused(
            f"it holds {len(listed):,} arrays; at most {_MOST_MEMBERS:,} are looked at"
        )
    members = {member.filename.removesuffix(".npy"): member for member in listed}
    if len(members) != len(listed):
        raise Refused("it holds two arrays of one name")
    return members


def _choice(names: list[str], name: str | None) -> str:
    if name is not None:
        if name in names:
            return name
        raise Refused(f"it holds no array {name!r}; it holds {', '.join(names) or 'none'}")
    if len(names) == 1:
        return names[0]
    usual_names = [image for image in _IMAGE_NAMES if image in names]
    if usual_names:
        return usual_names[0]
    raise Refused(
        f"it holds {len(names)} arrays ({', '.join(names[:20])}); choose one by --extension NAME"
    )
