"""Repacking: a data set stored in another way, resumable and verified like one that is generated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lenssim.data.format.digests import read_verified
from lenssim.data.format.manifest import Manifest, Plan, read_plan, without_paths
from lenssim.data.format.spec import storage_config
from lenssim.data.generation.building import Progress, Stop, build, finish_shard, provenance
from lenssim.data.generation.runners import local_runner
from lenssim.data.streaming.locations import complete
from lenssim.errors import ConfigError

__all__ = ["repack"]


def repack(
    source: Path | str,
    folder: Path,
    storage: str,
    compress: bool,
    *,
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Stop = lambda: False,
) -> Manifest:
    """Write the data set in `source` into `folder` in another storage; the same as if generated so, bit for bit.

    Of float32 anything can be made. What was rounded keeps its storage, since the bits that rounding took do not come
    back; it can be compressed or not. `ConfigError` otherwise. Every byte that is copied is checked before against the
    record of its shard, and a `VerificationError` names the shard that does not hold what was written.
    """
    place = complete(source)
    plan = read_plan(place.folder)
    there = plan.config.get("storage", "float32")
    if there not in ("float32", storage):
        raise ConfigError(
            f"{source} is stored as {there}: it stays so (--storage {there}), only --compress may change"
        )
    config = {
        name: value
        for name, value in without_paths(plan.config).items()
        if name not in ("storage", "compress")
    }
    packed = plan.model_copy(update={"config": config | storage_config(storage, compress)})

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        target_plan = Plan.model_validate(document)
        record = place.record(shard)
        samples = read_verified(place.path(shard), record)
        repacked = (
            samples.stored_as(storage, compress)
            if there != storage
            else samples.packed(compress)
        )
        repacked.attributes.update(provenance(target_plan))
        return finish_shard(Path(target), target_plan, shard, repacked, record.audit)

    return build(
        folder,
        Plan.model_validate(packed.model_dump()),
        task,
        local_runner(0),
        report,
        stop=stop,
    )
