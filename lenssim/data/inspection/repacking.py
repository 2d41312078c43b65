"""Repacking: a copy of a data set in another storage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lenssim.data.format.digests import read_verified
from lenssim.data.format.dither import NEWEST_DITHER
from lenssim.data.format.galaxy_records import without_paths
from lenssim.data.format.manifest import Manifest, Plan, read_plan
from lenssim.data.format.spec import (
    DEFAULT_STORAGE,
    dither_of,
    storage_config,
    storage_of,
)
from lenssim.data.generation.building import Stop, build, provenance
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.runners import local_runner
from lenssim.data.streaming.locations import check_apart, open_complete
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
    """Write a data set into another folder in another storage.

    The copy is the same, bit for bit, as if it had been generated so. Every byte is checked
    against the record of its shard before it is copied. A repeated call continues. Anything
    can be made of float32. What was rounded keeps its storage, since the lost bits do not
    come back; it can be compressed or not.

    Args:
        source: Folder or URL of the data set.
        folder: The folder of the copy.
        storage: "float32", "float16" or "int16".
        compress: Whether the copy is compressed.
        report: Is called with the progress.
        stop: Says whether to begin no further shard.

    Returns:
        The manifest of the copy.

    Raises:
        ConfigError: The data set was rounded to another storage, or `folder` lies in it.
        VerificationError: A shard does not hold what was written; the message names it.
    """
    location = open_complete(source)
    check_apart(location, folder)
    plan = read_plan(location.folder)
    source_storage = storage_of(plan.config)
    if source_storage not in (DEFAULT_STORAGE, storage):
        raise ConfigError(
            f"{source} is stored as {source_storage}: it stays so "
            f"(--storage {source_storage}), only --compress may change",
            code="storage-fixed",
            source=source,
            source_storage=source_storage,
        )

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        """Copy a shard; return its number of samples."""
        target_plan = Plan.model_validate(document)
        record = location.record(shard)
        stored = read_verified(location.path(shard), record)
        samples = stored.packed(compress)
        if source_storage != storage:
            stream = dither_of(target_plan.config)
            samples = stored.stored_as(storage, compress, stream)
        samples.attributes.update(provenance(target_plan))
        return finish_shard(Path(target), target_plan, shard, samples, record.audit)

    target_plan = _plan_of_copy(plan, storage, compress)
    return build(folder, target_plan, task, local_runner(0), report, stop=stop)


def _plan_of_copy(plan: Plan, storage: str, compress: bool) -> Plan:
    """Return the plan of a data set in another storage."""
    stream = NEWEST_DITHER
    if storage_of(plan.config) == storage:
        stream = dither_of(plan.config)  # what is rounded stays as it is
    config = {
        name: value
        for name, value in without_paths(plan.config).items()
        if name not in ("storage", "compress", "dither_stream")
    }
    config |= storage_config(storage, compress, stream)
    copy = plan.model_copy(update={"config": config})
    return Plan.model_validate(copy.model_dump())
