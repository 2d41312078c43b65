"""Building a data set's folder, wherever its samples come from: plan, shards with sidecars, manifest; and resuming."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lenssim.data.cluster import Runner, Task
from lenssim.data.files import canonical_json, is_temporary, read_json, sweep, write_json
from lenssim.data.manifest import MANIFEST, PLAN, SHARDS, Audit, Manifest, Plan, ShardRecord, read_plan, shard_name
from lenssim.data.shards import Samples, fingerprint_sum, write_shard
from lenssim.errors import ConfigError, DataError, IncompleteError, StorageError

__all__ = ["Progress", "build", "finish_shard", "provenance", "read_record", "seal"]


@dataclass(frozen=True)
class Progress:
    """What a display is told: samples done, samples in all, and samples that were there at the start."""

    done: int
    total: int
    resumed: int


def provenance(plan: Plan) -> dict[str, str]:
    """Root attributes that every shard of a plan carries."""
    return {
        "config": canonical_json(plan.config).decode(),
        "config_hash": plan.config_hash,
        "classes": canonical_json(list(plan.classes)).decode(),
    }


def finish_shard(folder: Path, plan: Plan, shard: int, samples: Samples, audit: Audit | None = None) -> int:
    """Write a shard, then its sidecar, which says that the shard is finished; returns the number of samples."""
    path = folder / SHARDS / shard_name(shard)
    record = write_shard(path, samples)
    write_json(
        path.with_suffix(".json"),
        {
            **record,
            "audit": audit.model_dump() if audit else None,
            "config_hash": plan.config_hash,
        },
    )
    return len(samples)


def read_record(folder: Path, plan: Plan, shard: int) -> ShardRecord | None:
    """The record of a finished shard of this plan; None if the shard has to be made (again)."""
    path = folder / SHARDS / shard_name(shard)
    try:
        document = read_json(path.with_suffix(".json"))
        if document.pop("config_hash", None) != plan.config_hash:
            return None
        record = ShardRecord.model_validate(document)
        rows = plan.rows(shard)
        fits = (record.rows, record.first, record.last) == (len(rows), rows[0], rows[-1])
        return record if fits and path.stat().st_size == record.bytes else None
    except (DataError, ValueError, OSError):
        return None


def build(
    folder: Path,
    plan: Plan,
    task: Task,
    runner: Runner,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Manifest:
    """Make the data set of `plan` in `folder`, going on where an earlier run of the same plan stopped.

    `task(folder, plan document, shard)` makes one shard; `runner` decides where. `ConfigError` if the folder holds
    another data set; `IncompleteError` if a shard could not be written: what is done stays, the same call continues.
    """
    folder = Path(folder)
    with _prepared(folder):
        earlier = read_plan(folder) if (folder / PLAN).exists() else None
        if earlier is not None:
            plan.continues(earlier, folder)
        if earlier != plan:
            (folder / MANIFEST).unlink(missing_ok=True)  # its presence means complete
            plan.write(folder)
        todo = [shard for shard in range(plan.shards) if read_record(folder, plan, shard) is None]
        if todo:
            (folder / MANIFEST).unlink(missing_ok=True)
        resumed = done = plan.n - sum(len(plan.rows(shard)) for shard in todo)
        report(Progress(done, plan.n, resumed))
        document = plan.model_dump(mode="json")
        try:
            for rows in runner(task, [(str(folder), document, shard) for shard in todo]):
                done += rows
                report(Progress(done, plan.n, resumed))
        except StorageError as error:
            raise IncompleteError(
                f"{error}\n{done} of {plan.n} samples are done and safe; repeat the command to continue"
            ) from None
        return seal(folder, plan)


@contextmanager
def _prepared(folder: Path) -> Iterator[None]:
    """A folder ready to be written to, without what dead writers left, before and after."""
    try:
        found = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if PLAN not in found and any(name != SHARDS and not is_temporary(name) for name in found):
            raise ConfigError(f"{folder} is not empty and holds no data set of lenssim's; choose another --out")
        (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot use {folder} as the data set's folder: {error.strerror}") from None
    places = (folder, folder / SHARDS)
    for place in places:
        sweep(place)
    yield
    for place in places:
        sweep(place)


def seal(folder: Path, plan: Plan) -> Manifest:
    """Write the manifest over finished shards; `IncompleteError` names those that are missing."""
    records = [read_record(folder, plan, shard) for shard in range(plan.shards)]
    if missing := [shard for shard, record in enumerate(records) if record is None]:
        raise IncompleteError(
            f"{folder}: {len(missing)} of {plan.shards} shards are missing or damaged "
            f"(the first: {shard_name(missing[0])}); repeat the command to make them"
        )
    whole = [record for record in records if record is not None]
    counts = [sum(per_class) for per_class in zip(*(record.class_counts for record in whole), strict=True)]
    manifest = Manifest(
        n=plan.n,
        classes=plan.classes,
        config_hash=plan.config_hash,
        fingerprint=fingerprint_sum([record.content for record in whole]),
        image_shape=whole[0].image_shape,
        class_counts=dict(zip(plan.classes, counts, strict=True)),
        audit=Audit.worst(record.audit for record in whole),
        shards=tuple(whole),
    )
    manifest.write(folder)
    return manifest
