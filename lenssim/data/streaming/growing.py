"""A simulated data set that may still be made while it is read."""

import hashlib
import time
from pathlib import Path

import numpy as np

from lenssim.data.format.files import canonical_json
from lenssim.data.format.manifest import (
    SHARDS,
    Manifest,
    Plan,
    ShardRecord,
    read_plan,
    read_record,
    shard_name,
)
from lenssim.data.format.reading import check_inside
from lenssim.data.streaming.folder import MIXED_BLOCKS, Facts
from lenssim.data.streaming.readers import Kept, Store, store_of
from lenssim.errors import ConfigError, DataError
from lenssim.machine import available_memory

__all__ = ["Growing"]

_PATIENCE = 900.0  # s without a new shard after which a generation counts as stopped
_LOOK_EVERY = 0.5  # s
_EASY_BYTES = 1 << 28  # of numbers and labels, which every machine has room for


class Growing:
    """A simulated data set whose generation may still run: whoever asks for a shard that is not there waits for it.

    What is not known before the end is taken from the plan; the fingerprint is that of the plan, so that a training
    resumes whether or not the generation has ended.
    """

    manifest: Manifest | None = None

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan, self.kept = folder, read_plan(folder), Kept()
        if self.plan.config.get("kind") != "simulated":
            raise ConfigError(
                f"{folder} is no simulated data set: only a simulation can be followed"
            )

    def facts(self) -> Facts:
        """From the plan, and the shape from the first shard."""
        from lenssim.simulate.draw import labels
        from lenssim.simulate.preset import parse_preset

        plan = self.plan
        index = _all_numbers(plan)
        return Facts(
            config=plan.config,
            classes=plan.classes,
            config_hash=plan.config_hash,
            fingerprint=hashlib.sha256(canonical_json([plan.config, plan.n])).hexdigest(),
            image_shape=self.record(0).image_shape,
            labels=labels(parse_preset(plan.config["preset"], "the plan's preset"), index),
            index=index,
            sizes=[len(plan.rows(shard)) for shard in range(plan.shards)],
            order={"block": plan.shard_size, "mix": MIXED_BLOCKS // 2, "rising": True},
        )

    def record(self, shard: int) -> ShardRecord:
        """The record of a shard, once it is there."""
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
        self.record(shard)
        path = self.folder / SHARDS / shard_name(shard)
        check_inside(path, self.folder)
        return path

    def store(self, shard: int) -> Store:
        """The images of a shard, once it is there."""
        return store_of(
            self.path(shard), self.record(shard), self.plan.config_hash, self.kept
        )


def _all_numbers(plan: Plan) -> np.ndarray:
    """The sample numbers of a plan; `ConfigError` for more than memory holds beside their labels."""
    needed = 2 * np.dtype(np.int64).itemsize * plan.n
    if needed > _EASY_BYTES and needed > available_memory():
        raise ConfigError(
            f"the plan states {plan.n:,} samples, whose numbers and labels take {needed / 2**30:,.0f} GiB, and there "
            f"are {available_memory() / 2**30:,.0f} GiB of memory; follow a smaller data set"
        )
    return np.arange(plan.n)
