"""Hashes of a run's files, recorded with every write and checked with every read."""

import hashlib
from pathlib import Path

from lenssim.data.format.files import cause, read_json, write, write_json
from lenssim.errors import DataError

__all__ = ["ABSENT", "FileHashes", "file_sha256"]

ABSENT = "absent"  # in place of a hash, if there is no such file
_RECORD = "hashes.json"
_FORMAT = "lenssim-hashes/1"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits, or `ABSENT`.

    Args:
        path: The file.

    Returns:
        The hash of its bytes.

    Raises:
        DataError: The file cannot be read.

    Example:
        >>> file_sha256(Path("no such file"))
        'absent'
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ABSENT
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {cause(error)}", code="unreadable-file", path=path
        ) from None


class FileHashes:
    """The hashes of the files that a training rewrites, in hashes.json of the run's folder.

    Before a file is replaced, its new hash is added to the old one. Afterwards the old one is
    removed. A training that is killed at any moment thus leaves a record with the hash of the file
    on disk, and can be resumed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / _RECORD

    def read(self) -> dict[str, list[str]]:
        """Return the hashes that each file may have, by its path within the folder.

        Raises:
            DataError: The record is damaged.
        """
        if not self.path.is_file():
            return {}
        document = read_json(self.path)
        files = document.get("files")
        if document.get("format") != _FORMAT or not isinstance(files, dict):
            raise DataError(
                f"{self.path} is not what lenssim train writes; train again into another --out",
                code="document-invalid",
                path=self.path,
            )
        return files

    def write_file(self, path: Path, data: bytes) -> None:
        """Write a file of the run atomically, and record its hash.

        Args:
            path: The file, within the folder.
            data: Its bytes.

        Raises:
            StorageError: The disk is full, read-only or gone.
        """
        files = self.read()
        name = self._name(path)
        digest = hashlib.sha256(data).hexdigest()
        before = files.get(name, [file_sha256(path)])
        self._write({**files, name: list(dict.fromkeys([*before, digest]))})
        write(path, data)
        self._write({**files, name: [digest]})

    def adopt(self, *paths: Path) -> None:
        """Record the current files of an old run that has no hashes."""
        files = {self._name(path): [file_sha256(path)] for path in paths if path.is_file()}
        self._write({**self.read(), **files})

    def final(self) -> dict[str, str]:
        """Return the hash of each file by its path, when no file is being written."""
        return {name: digests[-1] for name, digests in self.read().items()}

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _write(self, files: dict[str, list[str]]) -> None:
        write_json(self.path, {"format": _FORMAT, "files": files})
