"""Finishing shards: from samples to a file and the sidecar that says that it is whole."""

from pathlib import Path

from lenssim.data.format.files import write_json
from lenssim.data.format.manifest import SHARDS, Plan, shard_name
from lenssim.data.format.packing import Packed, pack, write_shard
from lenssim.data.format.records import Audit
from lenssim.data.format.rules import broken_rules
from lenssim.data.format.shard import Samples
from lenssim.errors import DataError

__all__ = ["checked_pack", "finish_shard", "store_shard"]


def finish_shard(
    folder: Path, plan: Plan, shard: int, samples: Samples, audit: Audit | None = None
) -> int:
    """Write a shard, then its sidecar, which says that the shard is finished; returns the number of samples.

    Raises:
        DataError: The samples break a rule that `verify` checks; nothing is written.
    """
    return store_shard(
        folder, plan, shard, checked_pack(folder, plan, shard, samples), audit
    )


def checked_pack(folder: Path, plan: Plan, shard: int, samples: Samples) -> Packed:
    """Return the bytes of a shard, ready to be written; errors as `finish_shard`."""
    path = folder / SHARDS / shard_name(shard)
    if lines := broken_rules(samples, plan, shard):
        raise DataError(
            f"{path} was not written: {'; '.join(lines)}", code="write-check", path=path
        )
    return pack(samples)


def store_shard(
    folder: Path, plan: Plan, shard: int, packed: Packed, audit: Audit | None = None
) -> int:
    """Write the bytes of a shard, then its sidecar; returns the number of samples."""
    path = folder / SHARDS / shard_name(shard)
    write_shard(path, packed)
    write_json(
        path.with_suffix(".json"),
        {
            **packed.record,
            "audit": audit.model_dump() if audit else None,
            "config_hash": plan.config_hash,
        },
    )
    return int(packed.record["rows"])
