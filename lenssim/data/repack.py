"""Repacking: a data set stored in another way, resumable and verified like one that is generated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lenssim.data.build import Progress, Stop, build, finish_shard, provenance
from lenssim.data.cluster import local_runner
from lenssim.data.generate import stored_config
from lenssim.data.manifest import Manifest, Plan, read_plan
from lenssim.data.places import complete
from lenssim.data.reading import read_samples
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
    back; it can be compressed or not. `ConfigError` otherwise.
    """
    place = complete(source)
    plan, manifest = read_plan(place.folder), place.manifest
    there = plan.config.get("storage", "float32")
    if there not in ("float32", storage):
        raise ConfigError(f"{source} is stored as {there}: it stays so (--storage {there}), only --compress may change")
    config = {name: value for name, value in plan.config.items() if name not in ("storage", "compress")}
    packed = plan.model_copy(update={"config": config | stored_config(storage, compress)})

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        samples = read_samples(place.path(shard))
        again = samples.stored_as(storage, compress) if there != storage else samples.packed(compress)
        again.attributes.update(provenance(packed))
        return finish_shard(Path(target), packed, shard, again, manifest.shards[shard].audit)

    return build(folder, Plan.model_validate(packed.model_dump()), task, local_runner(0), report, stop=stop)
