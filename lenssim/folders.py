"""Folders as the system sees them: whether files can be written there, and who else could change them."""

import grp
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

__all__ = [
    "copy_at_once",
    "danger",
    "free_bytes",
    "lies_in",
    "make_private",
    "reason",
    "refusal",
    "shared_danger",
]

_PROBE_BYTES = 1 << 16


def reason(error: OSError) -> str:
    """Return why the system refused, in words."""
    return error.strerror or str(error)


def lies_in(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder or lies in it, by whatever name or link.

    Args:
        path: A path, which need not exist.
        folder: A folder. Nothing lies in one that does not exist.

    Example:
        >>> lies_in(Path("data/III/shards/.."), Path("data/III"))
        True
    """
    if not folder.exists():
        return False
    real = path.resolve()
    return any(
        parent.exists() and parent.samefile(folder) for parent in (real, *real.parents)
    )


def make_private(folder: Path) -> str:
    """Make a folder, and those above it, for this user alone; return why that is impossible, or "".

    Args:
        folder: The folder. One that exists keeps its mode.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            return "it is not a folder"
    except OSError as error:
        return reason(error)
    return ""


def copy_at_once(file: Path, folder: Path, mode: int) -> Path:
    """Copy a file into a folder, where other processes see all of it or nothing.

    Args:
        file: The file.
        folder: The folder.
        mode: Permissions of the copy.

    Returns:
        Path of the copy.

    Raises:
        OSError: The system refuses; nothing is left behind.
    """
    hidden = folder / f".{file.name}-{os.getpid()}"
    try:
        shutil.copyfile(file, hidden)
        hidden.chmod(mode)
        hidden.replace(folder / file.name)
    except OSError:
        with suppress(OSError):
            hidden.unlink()
        raise
    return folder / file.name


def refusal(folder: Path, room: int = 0) -> str:
    """Return why files cannot be written into a folder, or "" if they can.

    Args:
        folder: The folder to try; a file without a name is written and gone at once.
        room: Bytes that must be free.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
        free = free_bytes(folder)
    except OSError as error:
        return reason(error)
    if free is not None and free < room:
        return (
            f"only {free / 2**20:.0f} MiB are free there, {room / 2**20:.0f} MiB are needed"
        )
    return ""


def free_bytes(folder: Path) -> int | None:
    """Return the bytes that this user may still write into a folder; None where the file system does not tell."""
    usage = shutil.disk_usage(folder)
    return usage.free if usage.total else None


def danger(path: Path, top: Path | None = None) -> str:
    """Return who besides this user and root could change what lies at a path, or "" if nobody could.

    Args:
        path: A file or folder. Neither it nor a folder between it and `top` may belong to another user
            or be writable by others.
        top: The folder above to begin with; None: the path alone. Above it, only folders that
            everybody can write to count, unless they are sticky, as /tmp is.

    Example:
        >>> danger(Path("/"))
        ''
    """
    try:
        real = path.resolve(strict=True)
        top_folder = real if top is None else top.resolve(strict=True)
        if problem := _change(real, real.lstat(), sticky=False):
            return problem
        for folder in real.parents:
            if folder != top_folder and top_folder not in folder.parents:
                break
            if problem := _change(folder, folder.lstat(), sticky=True):
                return problem
        return _open_above(real)
    except OSError as error:
        return reason(error)


def shared_danger(folder: Path) -> str:
    """Return who could take away or replace what this user makes in a shared folder, or "" if nobody could.

    Args:
        folder: A folder such as /tmp, which others may write to if it is sticky.
    """
    try:
        real = folder.resolve(strict=True)
        if problem := _change(real, real.lstat(), sticky=True):
            return problem
        return _open_above(real)
    except OSError as error:
        return reason(error)


def _change(path: Path, status: os.stat_result, *, sticky: bool) -> str:
    if status.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to another user (uid {status.st_uid})"
    if sticky and status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return f"everybody can write to {path}"
    if status.st_mode & stat.S_IWGRP and not _own_group(status.st_gid):
        return f"a group can write to {path}"
    return ""


def _open_above(path: Path) -> str:
    """The first folder above a path in which everybody could replace what lies there."""
    for folder in path.parents:
        mode = folder.lstat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"everybody can write to {folder}"
    return ""


@lru_cache
def _own_group(number: int) -> bool:
    """Whether a group has this user alone as a member, as on systems that give each user one."""
    try:
        user = pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(number)
    except KeyError:
        return False
    return (
        number == user.pw_gid
        and group.gr_name == user.pw_name
        and set(group.gr_mem) <= {user.pw_name}
    )
