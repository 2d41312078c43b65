"""Building a data set's folder, wherever its samples come from: plan, shards with sidecars, manifest; and resuming."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path

from lenssim.data.card import CARD, write_card
from lenssim.data.cluster import Runner
from lenssim.data.failures import FAILURES, Blame, Outcome, Task, attempt, keep
from lenssim.data.files import canonical_json, cause, is_temporary, sweep, write_json
from lenssim.data.manifest import MANIFEST, PLAN, SHARDS, Audit, Manifest, Plan, read_plan, read_record, shard_name
from lenssim.data.shards import Samples, fingerprint_sum, write_shard
from lenssim.errors import ConfigError, IncompleteError, StorageError

__all__ = ["Progress", "Stop", "build", "build_share", "finish_shard", "provenance", "seal"]

_HOPELESS = 8  # shards failed before any succeeded

Stop = Callable[[], bool]  # whether to begin no further shard


@dataclass(frozen=True)
class Progress:
    """What a display is told: samples done, samples in all, and samples that were there at the start.

    Samples in shards that failed, shards that had to be tried again, and what each worker has in hand.
    """

    done: int
    total: int
    resumed: int
    failed: int = 0
    retried: int = 0
    workers: dict[str, str] = field(default_factory=dict)


Report = Callable[[Progress], None]


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


def build(
    folder: Path,
    plan: Plan,
    task: Task,
    runner: Runner,
    report: Report = lambda progress: None,
    *,
    blame: Blame | None = None,
    stop: Stop = lambda: False,
) -> Manifest:
    """Make the data set of `plan` in `folder`, going on where an earlier run of the same plan stopped.

    `task(folder, plan document, shard)` makes one shard; `runner` decides where; `blame` finds the samples at fault
    where a shard fails; once `stop()` is true, what is in hand is finished and nothing else begun. `ConfigError` if
    the folder holds another data set; `IncompleteError` if anything is left to do: what is done stays, the same call
    continues.
    """
    folder = Path(folder)
    with _prepared(folder, plan):
        _make(folder, plan, range(plan.shards), partial(attempt, task, blame, str(folder)), runner, report, stop)
        return seal(folder, plan)


def build_share(
    folder: Path,
    plan: Plan,
    shards: Iterable[int],
    task: Task,
    runner: Runner,
    report: Report = lambda progress: None,
    *,
    blame: Blame | None = None,
    stop: Stop = lambda: False,
) -> int:
    """Make some shards of a data set and leave the manifest to `seal`; returns their samples. Otherwise as `build`."""
    folder, shards = Path(folder), list(shards)
    with _prepared(folder, plan):
        _make(folder, plan, shards, partial(attempt, task, blame, str(folder)), runner, report, stop)
    return sum(len(plan.rows(shard)) for shard in shards)


def _make(
    folder: Path,
    plan: Plan,
    shards: Iterable[int],
    job: Callable[..., Outcome],
    runner: Runner,
    report: Report,
    stop: Stop,
) -> None:
    """Run `job` for those of the shards that are not there; `IncompleteError` unless all could be made."""
    rows = {shard: len(plan.rows(shard)) for shard in shards}
    todo = [shard for shard in rows if read_record(folder, plan, shard) is None]
    total = sum(rows.values())
    resumed = done = total - sum(rows[shard] for shard in todo)
    failures: list[Outcome] = []
    retried = 0

    def hopeless() -> bool:  # a mistake that meets every sample need not be met a million times
        return len(failures) >= _HOPELESS and done == resumed

    report(Progress(done, total, resumed))
    if not todo:
        return
    _unseal(folder)
    try:
        job = partial(job, plan.model_dump(mode="json"))
        for outcome in runner(job, takewhile(lambda _: not (stop() or hopeless()), todo)):
            done += outcome.rows
            retried += outcome.retries
            if outcome.failure:
                failures.append(outcome)
                keep(folder, outcome)
            failed = sum(rows[failure.shard] for failure in failures)
            report(Progress(done, total, resumed, failed, retried, outcome.states or {}))
    except (StorageError, IncompleteError) as error:
        raise IncompleteError(f"{error}\n{_what_is_safe(folder, plan, rows)}") from None
    if failures:
        raise IncompleteError(
            f"{len(failures)} of {len(rows)} shards failed, tried again too. The first, {failures[0].failure}\n"
            f"seeds and tracebacks are in {folder / FAILURES}; {_what_is_safe(folder, plan, rows)}"
        )
    if done < total:
        raise IncompleteError(f"stopped: {_what_is_safe(folder, plan, rows)}")


def _what_is_safe(folder: Path, plan: Plan, rows: Mapping[int, int]) -> str:
    """Return what lies on disk now, by the records of the shards with so many `rows` each, and what to do."""
    if not (folder / PLAN).exists():
        return (
            f"{folder} is gone: it was deleted or moved during the run, or its disk is away; repeat the command, which "
            "begins again unless the folder is back"
        )
    done = sum(count for shard, count in rows.items() if read_record(folder, plan, shard) is not None)
    return f"{done} of {sum(rows.values())} samples are done and safe; repeat the command to continue"


@contextmanager
def _prepared(folder: Path, plan: Plan) -> Iterator[None]:
    """A folder that holds the plan, without what dead writers left, before and after.

    Whatever the file system refuses from then on is an `IncompleteError`.
    """
    try:
        found = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if PLAN not in found and any(name != SHARDS and not is_temporary(name) for name in found):
            raise ConfigError(f"{folder} is not empty and holds no data set of lenssim's; choose another --out")
        earlier = read_plan(folder) if PLAN in found else None
        if earlier is not None:
            plan.continues(earlier, folder)
        (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot use {folder} as the data set's folder: {error.strerror}") from None
    try:
        _sweep(folder)
        if earlier != plan:
            _unseal(folder)
            plan.write(folder)
        yield
        _sweep(folder)
    except StorageError as error:
        rows = {shard: len(plan.rows(shard)) for shard in range(plan.shards)}
        raise IncompleteError(f"{error}\n{_what_is_safe(folder, plan, rows)}") from None


def _sweep(folder: Path) -> None:
    for place in (folder, folder / SHARDS, folder / FAILURES):
        with suppress(OSError):  # leftovers harm nobody
            sweep(place)


def _unseal(folder: Path) -> None:
    """Take the manifest away, whose presence means complete, and the card, which speaks of the whole."""
    try:
        for name in (MANIFEST, CARD):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot change {folder}: {cause(error)}") from None


def seal(folder: Path, plan: Plan) -> Manifest:
    """Write the card and the manifest of finished shards; `IncompleteError` names those that are missing."""
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
    write_card(folder, plan, manifest)
    manifest.write(folder)
    return manifest
