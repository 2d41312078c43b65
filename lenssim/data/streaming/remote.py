"""A complete data set behind a URL, whose shards are fetched when they are needed."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lenssim.cache import cache_root
from lenssim.data.format.digests import is_whole
from lenssim.data.format.files import cause, write
from lenssim.data.format.manifest import (
    MANIFEST,
    PLAN,
    SHARDS,
    ShardRecord,
    read_manifest,
    read_plan,
    shard_name,
)
from lenssim.data.streaming.folder import MIXED_BLOCKS, Facts, check_manifest, facts_of
from lenssim.data.streaming.readers import Kept, Store, check_columns, store_of
from lenssim.data.streaming.urls import path_of, reading
from lenssim.errors import DataError, StorageError, SurroundingsError, VerificationError
from lenssim.folders import make_private

__all__ = ["Remote"]


class Remote:
    """A complete data set behind a URL that fsspec knows (s3, http, file, ...); shards are fetched when needed.

    They are kept in `$LENSSIM_CACHE/data`, by default `~/.cache/lenssim/data`, whole, under the fingerprint of their
    data set and only if their hash is right.
    """

    def __init__(self, url: str) -> None:
        self.url, self.kept = url.rstrip("/"), Kept()
        self._checked: set[int] = set()  # shards whose copy here was hashed by this process
        self.origin = path_of(self.url)
        root = cache_root()
        if root is None:
            raise SurroundingsError(
                f"{self.url} cannot be kept: this user has no home folder; set LENSSIM_CACHE"
            )
        base = root / "data"
        documents = {name: self._fetch(name) for name in (PLAN, MANIFEST)}
        self.folder = base / hashlib.sha256(documents[MANIFEST]).hexdigest()[:32]
        if fault := make_private(self.folder / SHARDS):
            raise SurroundingsError(
                f"{self.url} cannot be kept in {base}: {fault}; set LENSSIM_CACHE to another folder"
            )
        with _cache(base):
            for name, data in documents.items():
                if (
                    not (self.folder / name).is_file()
                    or (self.folder / name).read_bytes() != data
                ):
                    write(self.folder / name, data)
        try:
            self.manifest = read_manifest(self.folder)
        except DataError as error:
            raise DataError(str(error).replace(str(self.folder), self.url)) from None
        check_manifest(self.manifest, self.origin)

    def _fetch(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        path = self.origin / name
        try:
            with reading(path):
                data: bytes = path.fs.cat_file(path.path, start=start, end=end)
        except FileNotFoundError:
            raise DataError(
                f"{self.url} holds no {name}: it is no complete data set of lenssim's"
            ) from None
        if start is not None and end is not None and len(data) > end - start:
            data = data[start:end]  # a server that knows no ranges sends all
        return data

    def facts(self) -> Facts:
        """Labels and numbers are read by themselves: the manifest knows where in the shards they lie."""
        columns = [
            self._columns(shard, record)
            for shard, record in enumerate(self.manifest.shards)
        ]
        order = {
            "block": max(record.rows for record in self.manifest.shards),
            "mix": MIXED_BLOCKS // 2,
        }
        return facts_of(read_plan(self.folder), self.folder, self.manifest, columns, order)

    def _columns(self, shard: int, record: ShardRecord) -> tuple[np.ndarray, np.ndarray]:
        where, columns = f"{self.url}/{SHARDS}/{shard_name(shard)}", []
        for name in ("labels", "index"):
            place = record.datasets.get(name)
            if place is None or place.bytes != 8 * record.rows:
                raise DataError(f"{where}: the manifest does not say where {name} lies")
            data = self._fetch(
                f"{SHARDS}/{shard_name(shard)}", place.offset, place.offset + place.bytes
            )
            if hashlib.sha256(data).hexdigest() != place.sha256:
                raise VerificationError(
                    f"{where}: dataset {name} does not hold what was written (sha256 differs)"
                )
            columns.append(np.frombuffer(data, "<i8"))
        labels, index = columns
        check_columns(labels, index, record, len(self.manifest.classes), where)
        return labels, index

    def path(self, shard: int) -> Path:
        """The file of a shard, here; fetched if it is not, or if the copy here was damaged."""
        path, record = self.folder / SHARDS / shard_name(shard), self.manifest.shards[shard]
        if shard in self._checked and path.is_file():
            return path
        if not is_whole(path, record):
            with _cache(self.folder.parent), (self.folder / "lock").open("w") as lock:
                fcntl.flock(
                    lock, fcntl.LOCK_EX
                )  # one worker fetches, the others wait for it
                if not is_whole(path, record):
                    write(path, self._fetch_shard(path.name, record))
        self._checked.add(shard)
        return path

    def _fetch_shard(self, name: str, record: ShardRecord) -> bytes:
        data = self._fetch(f"{SHARDS}/{name}")
        if hashlib.sha256(data).hexdigest() != record.file_sha256:
            raise VerificationError(
                f"{self.url}/{SHARDS}/{name} is damaged: its sha256 is not the manifest's"
            )
        return data

    def record(self, shard: int) -> ShardRecord:
        """The record of a shard."""
        return self.manifest.shards[shard]

    def store(self, shard: int) -> Store:
        """The images of a shard."""
        return store_of(
            self.path(shard), self.record(shard), self.manifest.config_hash, self.kept
        )


@contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """What the disk of the cache refuses, with the way to another one."""
    try:
        yield
    except (OSError, StorageError) as error:
        reason = cause(error) if isinstance(error, OSError) else str(error)
        raise StorageError(
            f"data sets behind URLs are kept in {folder}, which cannot be written: {reason}; "
            "set LENSSIM_CACHE to a folder with room"
        ) from None
