"""Files that are either whole or absent: atomic writes and JSON with checksums."""

import errno
import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Buffer, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lenssim.errors import DataError, StorageError

__all__ = [
    "canonical_json",
    "cause",
    "is_temporary",
    "make_folder",
    "read_json",
    "signed_json",
    "sweep",
    "write",
    "write_changed",
    "write_chunks",
    "write_json",
]

_TEMPORARY = ".tmp-"
_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "file too large",
}
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # mounted without flock
_DAY = 86_400.0  # s


def make_folder(path: Path) -> None:
    """Make a folder and its parents, unless it exists.

    Args:
        path: The folder.

    Raises:
        StorageError: The message names the path and the cause: read-only, full, a file of
            that name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {path}: {cause(error)}; mend that or choose another",
            code="write-failed",
            path=path,
        ) from None


def write(
    path: Path, *parts: Buffer, durable: bool = True, sync_folder: bool = True
) -> None:
    """Write a file so that after any crash it is whole or absent.

    The content is written under a temporary name, flushed to the disk, and renamed. Where the
    system refuses and the file has this content already, nothing is left to do.

    Args:
        path: The file. Its mode follows from the umask, as that of any other file.
        *parts: Its content, one part after another.
        durable: Whether the file must also survive a loss of power. Without, thousands of
            small files are written many times faster, and each is still whole or absent
            when the process dies.
        sync_folder: Whether its entry in the folder is flushed as well.

    Raises:
        StorageError: The disk is full, read-only or gone. The message names path and cause;
            no part of the file stays.
    """
    write_chunks(path, lambda: parts, durable=durable, sync_folder=sync_folder)


def write_chunks(
    path: Path,
    chunks: Callable[[], Iterable[Buffer]],
    *,
    durable: bool = True,
    sync_folder: bool = True,
) -> None:
    """Write a file as `write` does, of content that need not be in memory at once.

    Args:
        path: As in `write`.
        chunks: Function that returns the content, one part after another.
        durable: As in `write`.
        sync_folder: As in `write`.

    Raises:
        StorageError: As in `write`.
    """
    temporary = path.with_name(f"{_TEMPORARY}{path.name}-{uuid.uuid4().hex}")
    try:
        descriptor = _create(temporary)
        try:
            for part in chunks():
                _write_all(descriptor, memoryview(part).cast("B"))
            if durable:
                os.fsync(descriptor)
            temporary.replace(path)
        finally:
            os.close(descriptor)
        if durable and sync_folder:
            _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # the disk may be gone altogether
            temporary.unlink()
        if _holds(path, chunks()):
            return
        raise StorageError(
            f"cannot write {path}: {cause(error)}; "
            "mend that or choose another folder, then repeat",
            code="write-failed",
            path=path,
        ) from None


def _holds(path: Path, parts: Iterable[Buffer]) -> bool:
    """Tell whether a file has some content already."""
    try:
        with path.open("rb") as file:
            for part in parts:
                view = memoryview(part).cast("B")
                if file.read(len(view)) != view:
                    return False
            return not file.read(1)
    except OSError:
        return False


def _write_all(descriptor: int, data: memoryview) -> None:
    """Write bytes, in as many calls as the system needs."""
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cause(error: OSError) -> str:
    """Return why the system refused, in words.

    Example:
        >>> cause(OSError(errno.ENOSPC, "No space left on device"))
        'the disk is full'
    """
    return _NO_ROOM.get(error.errno or 0, error.strerror or str(error))


def _create(path: Path) -> int:
    """Return the descriptor of a new, locked file; the lock tells `sweep` to leave it."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(descriptor)
                raise
            return descriptor
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # a sweeper was between the two calls and took it for dead


def is_temporary(name: str) -> bool:
    """Return whether a file of this name is one being written."""
    return name.startswith(_TEMPORARY)


def sweep(folder: Path) -> None:
    """Remove temporary files whose writer is dead: nobody holds their lock.

    Where a file system has no locks, files of the last day stay.

    Args:
        folder: The folder, whose subfolders are not searched.
    """
    for temporary in folder.glob(f"{_TEMPORARY}*"):
        try:
            descriptor = os.open(temporary, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink(missing_ok=True)
        except OSError as error:
            age = time.time() - os.fstat(descriptor).st_mtime
            if error.errno in _NO_LOCKS and age > _DAY:
                temporary.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def canonical_json(document: Any) -> bytes:
    """Return JSON as bytes without spaces; the order of keys stays, because it has meaning.

    Example:
        >>> canonical_json({"n": 3, "classes": ["no_sub", "cdm"]})
        b'{"n":3,"classes":["no_sub","cdm"]}'
    """
    return json.dumps(
        document, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def write_changed(path: Path, content: bytes) -> None:
    """Write a file unless it holds the same bytes already; see `write`.

    So what is finished can be repeated on a disk that nobody can write to.

    Args:
        path: The file.
        content: Its content.

    Raises:
        StorageError: As for `write`.
    """
    with suppress(OSError):
        if path.read_bytes() == content:
            return
    write(path, content)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON object atomically, with a checksum of itself under `sha256`."""
    write(path, signed_json(document))


def signed_json(document: dict[str, Any]) -> bytes:
    """Return a JSON object as bytes, with a checksum of itself under `sha256`."""
    digest = hashlib.sha256(canonical_json(document)).hexdigest()
    signed = {**document, "sha256": digest}
    text = json.dumps(signed, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Every byte counts: one in white space, or that makes 1e-05 of 1E-05, is damage too.

    Args:
        path: The file.

    Returns:
        The document without its checksum.

    Raises:
        DataError: The file is missing, not JSON, or does not match its checksum.
    """
    data, document = _read_document(path)
    document.pop("sha256", None)
    try:
        untouched = data == signed_json(document)
    except ValueError:  # NaN, half of a surrogate pair
        untouched = False
    if not untouched:
        raise DataError(
            f"{path} does not match its own checksum: it was damaged or edited",
            code="document-damaged",
            path=path,
        )
    return document


def _read_document(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a file and the object they hold as JSON."""
    try:
        data = path.read_bytes()
        document = json.loads(data)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist", code="no-file", path=path) from None
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}", code="unreadable-file", path=path
        ) from None
    except (ValueError, RecursionError):
        raise DataError(
            f"{path} is not JSON: it was damaged or is no file of lenssim's",
            code="not-json",
            path=path,
        ) from None
    if not isinstance(document, dict):
        raise DataError(
            f"{path} is not a JSON object: it is no file of lenssim's",
            code="not-json",
            path=path,
        )
    return data, document
