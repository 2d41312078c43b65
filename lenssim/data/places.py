"""Where a data set lies: in a folder, behind a URL with a cache of it here, or in a folder that still grows."""

import fcntl
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.cache import cache_root
from lenssim.data.files import canonical_json, write
from lenssim.data.manifest import (
    MANIFEST,
    PLAN,
    SHARDS,
    Manifest,
    ShardRecord,
    read_manifest,
    read_plan,
    read_record,
    shard_name,
)
from lenssim.data.stores import Kept, Store, check_columns, read_columns, store_of
from lenssim.errors import ConfigError, DataError, LenssimError, SurroundingsError
from lenssim.folders import make_private

__all__ = ["FOLLOW", "Facts", "Folder", "Growing", "Remote", "complete", "is_url", "locate", "path_of", "reading"]

FOLLOW = "follow:"
_WINDOW = 8  # blocks whose rows are mixed
_PATIENCE = 900.0  # s without a new shard after which a generation counts as stopped
_LOOK_EVERY = 0.5  # s


@dataclass(frozen=True)
class Facts:
    """What a data set says of itself; `labels` and `index` (n,), `sizes` rows of each shard.

    `order` are the options of a `BatchSampler` that visits the images as is cheap here.
    """

    config: dict[str, Any]
    classes: tuple[str, ...]
    config_hash: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    labels: np.ndarray
    index: np.ndarray
    sizes: list[int]
    order: dict[str, Any]


class Folder:
    """A complete data set on this machine; `origin` is where it really lies, and is `folder` here."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.origin = folder
        self.manifest, self.kept = read_manifest(folder), Kept()
        check_manifest(self.manifest, folder)

    def facts(self) -> Facts:
        """Read from every shard, which is checked."""
        first = self.store(0)
        columns = [
            read_columns(self.path(i), record, len(self.manifest.classes))
            for i, record in enumerate(self.manifest.shards)
        ]
        block = getattr(first, "chunk", 1)
        order = {"block": block, "mix": _WINDOW} if block > 1 else {}
        return _facts(self.folder, self.manifest, columns, order)

    def path(self, shard: int) -> Path:
        """The file of a shard."""
        return self.folder / SHARDS / shard_name(shard)

    def store(self, shard: int) -> Store:
        """The images of a shard."""
        return store_of(self.path(shard), self.manifest.shards[shard], self.kept)


class Remote:
    """A complete data set behind a URL that fsspec knows (s3, http, file, ...); shards are fetched when needed.

    They are kept in `$LENSSIM_CACHE/data`, by default `~/.cache/lenssim/data`, whole, under the fingerprint of their
    data set and only if their hash is right.
    """

    def __init__(self, url: str) -> None:
        self.url, self.kept = url.rstrip("/"), Kept()
        self.origin = path_of(self.url)
        root = cache_root()
        if root is None:
            raise SurroundingsError(f"{self.url} cannot be kept: this user has no home folder; set LENSSIM_CACHE")
        base = root / "data"
        documents = {name: self._fetch(name) for name in (PLAN, MANIFEST)}
        self.folder = base / hashlib.sha256(documents[MANIFEST]).hexdigest()[:32]
        if fault := make_private(self.folder / SHARDS):
            raise SurroundingsError(
                f"{self.url} cannot be kept in {base}: {fault}; set LENSSIM_CACHE to another folder"
            )
        for name, data in documents.items():
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
            raise DataError(f"{self.url} holds no {name}: it is no complete data set of lenssim's") from None
        if start is not None and end is not None and len(data) > end - start:
            data = data[start:end]  # a server that knows no ranges sends all
        return data

    def facts(self) -> Facts:
        """Labels and numbers are read by themselves: the manifest knows where in the shards they lie."""
        columns = [self._columns(shard, record) for shard, record in enumerate(self.manifest.shards)]
        order = {"block": max(record.rows for record in self.manifest.shards), "mix": _WINDOW // 2}
        return _facts(self.folder, self.manifest, columns, order)

    def _columns(self, shard: int, record: ShardRecord) -> tuple[np.ndarray, np.ndarray]:
        where, columns = f"{self.url}/{SHARDS}/{shard_name(shard)}", []
        for name in ("labels", "index"):
            place = record.datasets.get(name)
            if place is None or place.bytes != 8 * record.rows:
                raise DataError(f"{where}: the manifest does not say where {name} lies")
            data = self._fetch(f"{SHARDS}/{shard_name(shard)}", place.offset, place.offset + place.bytes)
            if hashlib.sha256(data).hexdigest() != place.sha256:
                raise DataError(f"{where}: dataset {name} does not hold what was written (sha256 differs)")
            columns.append(np.frombuffer(data, "<i8"))
        labels, index = columns
        check_columns(labels, index, record, len(self.manifest.classes), where)
        return labels, index

    def path(self, shard: int) -> Path:
        """The file of a shard, here; fetched if it is not."""
        path, record = self.folder / SHARDS / shard_name(shard), self.manifest.shards[shard]
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one worker fetches, the others wait for it
            if not path.is_file() or path.stat().st_size != record.bytes:
                data = self._fetch(f"{SHARDS}/{path.name}")
                if hashlib.sha256(data).hexdigest() != record.file_sha256:
                    raise DataError(f"{self.url}/{SHARDS}/{path.name} is damaged: its sha256 is not the manifest's")
                write(path, data)
        return path

    def store(self, shard: int) -> Store:
        """The images of a shard."""
        return store_of(self.path(shard), self.manifest.shards[shard], self.kept)


class Growing:
    """A simulated data set whose generation may still run: whoever asks for a shard that is not there waits for it.

    What is not known before the end is taken from the plan; the fingerprint is that of the plan, so that a training
    resumes whether or not the generation has ended.
    """

    manifest: Manifest | None = None

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan, self.kept = folder, read_plan(folder), Kept()
        if self.plan.config.get("kind") != "simulated":
            raise ConfigError(f"{folder} is no simulated data set: only a simulation can be followed")

    def facts(self) -> Facts:
        """From the plan, and the shape from the first shard."""
        from lenssim.simulate.draw import labels
        from lenssim.simulate.preset import parse_preset

        plan, index = self.plan, np.arange(self.plan.n)
        return Facts(
            config=plan.config,
            classes=plan.classes,
            config_hash=plan.config_hash,
            fingerprint=hashlib.sha256(canonical_json([plan.config, plan.n])).hexdigest(),
            image_shape=self._record(0).image_shape,
            labels=labels(parse_preset(plan.config["preset"], "the plan's preset"), index),
            index=index,
            sizes=[len(plan.rows(shard)) for shard in range(plan.shards)],
            order={"block": plan.shard_size, "mix": _WINDOW // 2, "rising": True},
        )

    def _record(self, shard: int) -> ShardRecord:
        before, since = -1, time.monotonic()
        while (record := read_record(self.folder, self.plan, shard)) is None:
            there = sum(1 for _ in (self.folder / SHARDS).glob("*.json"))
            if there != before:
                before, since = there, time.monotonic()
            elif time.monotonic() - since > _PATIENCE:
                raise DataError(
                    f"{self.folder}: shard {shard_name(shard)} is not there, and none came for {_PATIENCE:.0f} s; "
                    "repeat the command that generates it, then resume the training"
                )
            time.sleep(_LOOK_EVERY)
        return record

    def path(self, shard: int) -> Path:
        """The file of a shard, once it is there."""
        self._record(shard)
        return self.folder / SHARDS / shard_name(shard)

    def store(self, shard: int) -> Store:
        """The images of a shard, once it is there."""
        return store_of(self.path(shard), self._record(shard), self.kept)


def is_url(place: Path | str) -> bool:
    """Whether `place` is written as a URL."""
    return isinstance(place, str) and "://" in place


def path_of(place: Path | str) -> Any:
    """A file or folder here, or behind a URL that fsspec knows: a `Path`, or what reads like one."""
    if not is_url(place):
        return Path(place)
    from upath import UPath

    with reading(place):
        return UPath(place)


@contextmanager
def reading(place: object) -> Iterator[None]:
    """What stores raise, each its own, as `DataError`; a package that is missing as `ConfigError`."""
    try:
        yield
    except (LenssimError, FileNotFoundError):
        raise
    except ImportError as error:
        raise ConfigError(f"{place} needs another package: {error}; pip install 'lenssim[remote]'") from None
    except Exception as error:
        raise DataError(f"cannot read {place}: {type(error).__name__}: {error}") from None


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


def check_manifest(manifest: Manifest, folder: Path) -> None:
    """`DataError` if the shards of a manifest are not as many samples as it states."""
    if sum(record.rows for record in manifest.shards) != manifest.n:
        raise DataError(f"{folder}: the shards of its manifest do not add up to {manifest.n} samples; make it anew")
    if any(record.image_shape != manifest.image_shape for record in manifest.shards):
        raise DataError(f"{folder}: the shards of its manifest hold images of several shapes; make it anew")


def _facts(
    folder: Path, manifest: Manifest, columns: list[tuple[np.ndarray, np.ndarray]], order: dict[str, Any]
) -> Facts:
    index = np.concatenate([index for _, index in columns])
    if (np.diff(index) <= 0).any():
        raise DataError(f"{folder}: sample numbers repeat or fall from one shard to the next; make it anew")
    return Facts(
        config=read_plan(folder).config,
        classes=manifest.classes,
        config_hash=manifest.config_hash,
        fingerprint=manifest.fingerprint,
        image_shape=manifest.image_shape,
        labels=np.concatenate([labels for labels, _ in columns]),
        index=index,
        sizes=[record.rows for record in manifest.shards],
        order=order,
    )
