"""A simulated data set that may still be generated while it is read."""

import hashlib
import time
from pathlib import Path

import numpy as np

from lenssim.data.format.files import canonical_json
from lenssim.data.format.manifest import (
    SHARDS,
    Manifest,
    Plan,
    read_plan,
    read_record,
    shard_name,
)
from lenssim.data.format.reading import check_inside
from lenssim.data.format.records import ShardRecord
from lenssim.data.streaming.folder import MIXED_BLOCKS, DatasetInfo
from lenssim.data.streaming.reader_cache import ReaderCache
from lenssim.data.streaming.readers import Reader, image_reader
from lenssim.errors import ConfigError, DataError
from lenssim.machine import available_memory

__all__ = ["GrowingFolder"]

_PATIENCE = 900.0  # s without a new shard after which a generation counts as stopped
_LOOK_EVERY = 0.5  # s
_SMALL_BYTES = 1 << 28  # of numbers and labels, which every machine has room for


class GrowingFolder:
    """A simulated data set whose generation may still run.

    Whoever asks for a shard that is not finished waits for it. What is not known before the
    end is taken from the plan. The fingerprint is that of the plan, so that a training
    resumes whether or not the generation has ended.

    Args:
        folder: The folder of the generation.

    Attributes:
        folder: The same.
        origin: Where the data set really is; the same folder.
        plan: Its plan.
        cache: What the readers of its shards share.
        manifest: None, because nothing seals a data set that grows.

    Raises:
        ConfigError: The folder holds data that were not simulated.
        DataError: The folder holds no plan.
    """

    manifest: Manifest | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = folder
        self.plan = read_plan(folder)
        self.cache = ReaderCache()
        if not self.plan.is_simulated:
            raise ConfigError(
                f"{folder} is no simulated data set: only a simulation can be followed",
                code="not-simulated",
                folder=folder,
            )

    def info(self) -> DatasetInfo:
        """Return what the plan says; the shape is that of the first shard."""
        from lenssim.simulate.draw import labels

        plan = self.plan
        index = _all_numbers(plan)
        contents = canonical_json([plan.config, plan.n])
        return DatasetInfo(
            config=plan.config,
            classes=plan.classes,
            config_hash=plan.config_hash,
            fingerprint=hashlib.sha256(contents).hexdigest(),
            image_shape=self.record(0).image_shape,
            bands=plan.spec.preset.instrument.band_names,
            labels=labels(plan.spec.preset, index),
            index=index,
            sizes=[len(plan.rows(shard)) for shard in range(plan.shards)],
            order={"block": plan.shard_size, "mix": MIXED_BLOCKS // 2, "rising": True},
        )

    def record(self, shard: int) -> ShardRecord:
        """Return the record of a shard, once it is finished.

        Raises:
            DataError: No shard was finished for a long time.
        """
        finished = -1
        since = time.monotonic()
        while (record := read_record(self.folder, self.plan, shard)) is None:
            count = sum(1 for _ in (self.folder / SHARDS).glob("*.json"))
            if count != finished:
                finished = count
                since = time.monotonic()
            elif time.monotonic() - since > _PATIENCE:
                raise DataError(
                    f"{self.folder}: shard {shard_name(shard)} is not there, and none came "
                    f"for {_PATIENCE:.0f} s; repeat the command that generates it, "
                    "then resume the training",
                    code="incomplete-data",
                    folder=self.folder,
                )
            time.sleep(_LOOK_EVERY)
        return record

    def path(self, shard: int) -> Path:
        """Return the file of a shard, once it is finished."""
        self.record(shard)
        path = self.folder / SHARDS / shard_name(shard)
        check_inside(path, self.folder)
        return path

    def reader(self, shard: int) -> Reader:
        """Return the reader of a shard's images, once it is finished."""
        return image_reader(
            self.path(shard), self.record(shard), self.plan.config_hash, self.cache
        )


def _all_numbers(plan: Plan) -> np.ndarray:
    """Return the sample numbers of a plan; `ConfigError` if memory cannot hold them."""
    needed = 2 * np.dtype(np.int64).itemsize * plan.n
    if needed > _SMALL_BYTES and needed > available_memory():
        raise ConfigError(
            f"the plan states {plan.n:,} samples, whose numbers and labels take "
            f"{needed / 2**30:,.0f} GiB, and there are "
            f"{available_memory() / 2**30:,.0f} GiB of memory; follow a smaller data set",
            code="data-too-large",
            n=plan.n,
        )
    return np.arange(plan.n)
