"""A complete data set behind a URL, whose shards are fetched when they are needed."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lenssim.cache import cache_root
from lenssim.data.format.digests import holds, is_whole
from lenssim.data.format.files import cause, write
from lenssim.data.format.manifest import (
    MANIFEST,
    PLAN,
    SHARDS,
    Manifest,
    read_manifest,
    read_plan,
    shard_name,
)
from lenssim.data.format.records import ShardRecord
from lenssim.data.streaming.folder import (
    MIXED_BLOCKS,
    DatasetInfo,
    check_manifest,
    dataset_info,
)
from lenssim.data.streaming.reader_cache import ReaderCache
from lenssim.data.streaming.readers import Reader, check_columns, image_reader
from lenssim.data.streaming.reading_order import ReadingOrder
from lenssim.data.streaming.urls import path_of, reading
from lenssim.errors import DataError, StorageError, SurroundingsError, VerificationError
from lenssim.folders import make_private

__all__ = ["RemoteFolder"]


class RemoteFolder:
    """A complete data set behind a URL that fsspec knows (s3, http, file and others).

    A shard is fetched when it is needed, and its copy stays in `$LENSSIM_CACHE/data`, by
    default `~/.cache/lenssim/data`. Only copies with the right hash are used.

    Args:
        url: The URL of the data set's folder.

    Attributes:
        url: The same.
        origin: The folder behind the URL.
        folder: The folder of the copies on this machine.
        manifest: The manifest.
        cache: What the readers of its shards share.

    Raises:
        DataError: There is no complete data set behind the URL.
        StorageError: The copies cannot be written.
        SurroundingsError: There is no place for the copies.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.cache = ReaderCache()
        self._checked: set[int] = set()  # shards whose copy this process has hashed
        self.origin = path_of(self.url)
        self.folder = self._copy_documents()
        self.manifest = self._read_manifest()
        check_manifest(self.manifest, self.origin)

    def _copy_documents(self) -> Path:
        """Copy plan and manifest into the cache, and return the folder that holds them."""
        root = cache_root()
        if root is None:
            raise SurroundingsError(
                f"{self.url} cannot be kept: this user has no home folder; "
                "set LENSSIM_CACHE",
                code="cache-unusable",
                url=self.url,
            )
        base = root / "data"
        documents = {name: self._fetch(name) for name in (PLAN, MANIFEST)}
        folder = base / hashlib.sha256(documents[MANIFEST]).hexdigest()[:32]
        if fault := make_private(folder / SHARDS):
            raise SurroundingsError(
                f"{self.url} cannot be kept in {base}: {fault}; "
                "set LENSSIM_CACHE to another folder",
                code="cache-unusable",
                url=self.url,
                base=base,
            )
        with _writing_cache(base):
            for name, data in documents.items():
                path = folder / name
                if not path.is_file() or path.read_bytes() != data:
                    write(path, data)
        return folder

    def _read_manifest(self) -> Manifest:
        """Read the copy of the manifest; errors name the URL."""
        try:
            return read_manifest(self.folder)
        except DataError as error:
            raise DataError(
                str(error).replace(str(self.folder), self.url),
                code=error.code,
                **error.fields,
            ) from None

    def _fetch(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return the bytes of a file behind the URL, or those from `start` to `end`."""
        path = self.origin / name
        try:
            with reading(path):
                data: bytes = path.fs.cat_file(path.path, start=start, end=end)
        except FileNotFoundError:
            raise DataError(
                f"{self.url} holds no {name}: it is no complete data set of lenssim's",
                code="no-data-set",
                url=self.url,
                name=name,
            ) from None
        if start is not None and end is not None and len(data) > end - start:
            return data[start:end]  # a server that knows no ranges sends the whole file
        return data

    def info(self) -> DatasetInfo:
        """Return what the data set says of itself; only labels and numbers are fetched.

        Raises:
            DataError: Labels or numbers cannot be.
            VerificationError: They do not hold what was written.
        """
        records = self.manifest.shards
        columns = [self._columns(shard, record) for shard, record in enumerate(records)]
        order: ReadingOrder = {
            "block": max(record.rows for record in records),
            "mix": MIXED_BLOCKS // 2,
        }
        plan = read_plan(self.folder)
        return dataset_info(plan, self.folder, self.manifest, columns, order)

    def _columns(self, shard: int, record: ShardRecord) -> tuple[np.ndarray, np.ndarray]:
        """Fetch the labels (n,) and sample numbers (n,) of a shard, and check them."""
        labels = self._column(shard, record, "labels")
        index = self._column(shard, record, "index")
        classes = len(self.manifest.classes)
        check_columns(labels, index, record, classes, self._shard_url(shard))
        return labels, index

    def _column(self, shard: int, record: ShardRecord, name: str) -> np.ndarray:
        """Fetch an int64 column (n,) from where the manifest says that it is."""
        where = self._shard_url(shard)
        dataset = record.datasets.get(name)
        if dataset is None or dataset.bytes != 8 * record.rows:
            raise DataError(
                f"{where}: the manifest does not say where {name} lies",
                code="document-invalid",
                where=where,
                name=name,
            )
        end = dataset.offset + dataset.bytes
        data = self._fetch(f"{SHARDS}/{shard_name(shard)}", dataset.offset, end)
        if hashlib.sha256(data).hexdigest() != dataset.sha256:
            raise VerificationError(
                f"{where}: dataset {name} does not hold what was written (sha256 differs)",
                code="damaged-data",
                where=where,
                name=name,
            )
        return np.frombuffer(data, "<i8")

    def _shard_url(self, shard: int) -> str:
        """Return the URL of a shard, for messages."""
        return f"{self.url}/{SHARDS}/{shard_name(shard)}"

    def path(self, shard: int) -> Path:
        """Return the copy of a shard on this machine; it is fetched unless it is whole.

        Raises:
            DataError: The shard cannot be fetched.
            StorageError: The copy cannot be written.
            VerificationError: The shard behind the URL is damaged.
        """
        path = self.folder / SHARDS / shard_name(shard)
        record = self.manifest.shards[shard]
        if shard in self._checked and path.is_file():
            return path
        if not is_whole(path, record):
            with (
                _writing_cache(self.folder.parent),
                (self.folder / "lock").open("w") as lock,
            ):
                fcntl.flock(lock, fcntl.LOCK_EX)  # one worker fetches, the others wait
                if not is_whole(path, record):
                    write(path, self._fetch_shard(path.name, record))
        self._checked.add(shard)
        return path

    def _fetch_shard(self, name: str, record: ShardRecord) -> bytes:
        """Fetch a shard whole, and check its hash."""
        data = self._fetch(f"{SHARDS}/{name}")
        if not holds(data, record):
            raise VerificationError(
                f"{self.url}/{SHARDS}/{name} is damaged: its sha256 is not the manifest's",
                code="damaged-data",
                url=self.url,
                name=name,
            )
        return data

    def record(self, shard: int) -> ShardRecord:
        """Return the record of a shard."""
        return self.manifest.shards[shard]

    def reader(self, shard: int) -> Reader:
        """Return the reader of a shard's images; errors as for `path`."""
        config_hash = self.manifest.config_hash
        return image_reader(self.path(shard), self.record(shard), config_hash, self.cache)


@contextmanager
def _writing_cache(folder: Path) -> Iterator[None]:
    """Say what the disk of the cache refuses, and how to choose another one."""
    try:
        yield
    except (OSError, StorageError) as error:
        reason = str(error)
        if isinstance(error, OSError):
            reason = cause(error)
        raise StorageError(
            f"data sets behind URLs are kept in {folder}, "
            f"which cannot be written: {reason}; set LENSSIM_CACHE to a folder with room",
            code="write-failed",
            folder=folder,
        ) from None
