"""Certificates of one run: who does not hold them can neither ask dask's scheduler nor its workers for anything."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lenssim.data.format.files import cause
from lenssim.errors import StorageError

__all__ = ["certificate_files", "certificates", "security_of"]


def certificates() -> Any:
    """Return new certificates as dask's `Security`, in memory only."""
    from distributed.security import Security

    return Security.temporary()


def security_of(certificate: str, key: str) -> Any:
    """Return dask's `Security` that names the files of a certificate and its key, for every role."""
    from distributed.security import Security

    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        tls_client_cert=certificate,
        tls_client_key=key,
        tls_scheduler_cert=certificate,
        tls_scheduler_key=key,
        tls_worker_cert=certificate,
        tls_worker_key=key,
    )


@contextmanager
def certificate_files(folder: Path) -> Iterator[Any]:
    """Write new certificates where the workers of other machines read them, for as long as the context lasts.

    The files are this user's alone (mode 0600). They are named and locked as other temporary files
    of a data set are, so that those of a killed run are removed by the next.

    Raises:
        StorageError: The folder cannot be written.
    """
    security = certificates()
    name = uuid.uuid4().hex
    texts = {"certificate": security.tls_ca_file, "key": security.tls_worker_key}
    paths = {what: folder.resolve() / f".tmp-dask-{what}-{name}.pem" for what in texts}
    locks: list[int] = []
    try:
        for what, path in paths.items():
            locks.append(_write(path, texts[what]))
        yield security_of(str(paths["certificate"]), str(paths["key"]))
    finally:
        for path in paths.values():
            with suppress(OSError):
                path.unlink()
        for lock in locks:
            os.close(lock)


def _write(path: Path, text: str) -> int:
    """Write a private file and return its descriptor, which holds its lock."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, text.encode())
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {cause(error)}", code="write-failed", path=path
        ) from None
    return descriptor
