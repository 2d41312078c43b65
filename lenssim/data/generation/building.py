"""Building a data set's folder, wherever its samples come from: plan, shards with sidecars, manifest; and resuming."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import takewhile
from pathlib import Path

from lenssim.data.format.bands import bands_of
from lenssim.data.format.files import canonical_json, cause, is_temporary, sweep
from lenssim.data.format.manifest import (
    CATALOGUE,
    MANIFEST,
    PLAN,
    SHARDS,
    SURVEY,
    Manifest,
    Plan,
    read_plan,
    read_record,
    read_records,
    shard_name,
    sidecars,
)
from lenssim.data.format.reading import LinkError, check_inside
from lenssim.data.format.records import Audit
from lenssim.data.format.shard import fingerprint_sum
from lenssim.data.generation.dataset_card import CARD, LEAK_AUDIT, REALISM_AUDIT, write_card
from lenssim.data.generation.failures import FAILURES, Blame, Outcome, Task, attempt, keep
from lenssim.data.generation.progress import Progress, Report, ShardTally
from lenssim.data.generation.runners import Runner
from lenssim.data.streaming.locations import LocalFolder
from lenssim.errors import (
    ConfigError,
    IncompleteError,
    StorageError,
    SurroundingsError,
)

__all__ = [
    "Progress",
    "Stop",
    "build",
    "build_share",
    "provenance",
    "seal",
]

_OURS = (
    SHARDS,
    MANIFEST,
    CARD,
    LEAK_AUDIT,
    REALISM_AUDIT,
    FAILURES,
    CATALOGUE,
    SURVEY,
    "catalogue.fits",
    "survey.html",
    "figures",
    "detections",  # of a field, whose objects are found before they are counted
)  # a folder whose plan was lost may hold these

Stop = Callable[[], bool]  # whether to begin no further shard


def provenance(plan: Plan) -> dict[str, str]:
    """Root attributes that every shard of a plan carries."""
    return {
        "config": canonical_json(plan.config).decode(),
        "config_hash": plan.config_hash,
        "classes": canonical_json(list(plan.classes)).decode(),
    }


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
    with _prepared(folder, plan) as plan:
        _make(
            folder,
            plan,
            range(plan.shards),
            partial(attempt, task, blame, str(folder)),
            runner,
            report,
            stop,
        )
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
    folder = Path(folder)
    shards = list(shards)
    with _prepared(folder, plan) as plan:
        _make(
            folder,
            plan,
            shards,
            partial(attempt, task, blame, str(folder)),
            runner,
            report,
            stop,
        )
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
    todo = _unfinished(folder, plan, rows)
    tally = ShardTally(rows, todo)
    report(tally.progress())
    if not todo:
        return
    _unseal(folder)
    try:
        job = partial(job, plan.model_dump(mode="json"))
        pending = takewhile(lambda _: not (stop() or tally.is_hopeless), todo)
        for outcome in runner(job, pending):
            tally.add(outcome)
            if outcome.failure:
                keep(folder, outcome)
            report(tally.progress(outcome.states))
    except (StorageError, IncompleteError) as error:
        raise IncompleteError(
            f"{error}\n{_what_is_safe(folder, plan, rows)}", code="stopped"
        ) from None
    except SurroundingsError as error:
        raise SurroundingsError(
            f"{error}\n{_what_is_safe(folder, plan, rows)}", code="surroundings"
        ) from None
    if tally.samples_done < tally.total or tally.failures:
        raise _unmade(folder, tally, _what_is_safe(folder, plan, rows))


def _unmade(folder: Path, tally: ShardTally, safe: str) -> IncompleteError:
    """Return the error of shards that failed, or that were not begun."""
    failures = tally.failures
    if not failures:
        return IncompleteError(f"stopped: {safe}", code="stopped")
    return IncompleteError(
        f"{len(failures)} of {len(tally.rows)} shards failed, tried again too. "
        f"The first, {failures[0].failure}\n"
        f"seeds and tracebacks are in {folder / FAILURES}; {safe}",
        code="shards-failed",
        folder=folder,
        failed=len(failures),
    )


def _unfinished(folder: Path, plan: Plan, shards: Collection[int]) -> list[int]:
    """Return those of the shards that are still to make, in their order."""
    recorded = [shard for shard in sidecars(folder, plan) if shard in shards]
    finished = {shard for shard in recorded if read_record(folder, plan, shard) is not None}
    return [shard for shard in shards if shard not in finished]


def _what_is_safe(folder: Path, plan: Plan, rows: Mapping[int, int]) -> str:
    """Return what lies on disk now, by the records of the shards with so many `rows` each, and what to do."""
    if not (folder / PLAN).exists():
        return (
            f"{folder} is gone: it was deleted or moved during the run, or its disk is away; repeat the command, which "
            "begins again unless the folder is back"
        )
    samples_done = sum(
        count
        for shard, count in rows.items()
        if read_record(folder, plan, shard) is not None
    )
    return f"{samples_done} of {sum(rows.values())} samples are done and safe; repeat the command to continue"


def _earlier_plan(folder: Path) -> Plan | None:
    """Return the plan that a folder holds; `ConfigError` if it holds something else."""
    entries = set()
    if folder.exists():
        entries = {path.name for path in folder.iterdir()}
    is_ours = all(name in _OURS or is_temporary(name) for name in entries)
    if PLAN not in entries and not is_ours:
        raise ConfigError(
            f"{folder} is not empty and holds no data set of lenssim's; choose another --out",
            code="folder-in-use",
            folder=folder,
        )
    check_inside(folder / SHARDS, folder)
    if PLAN not in entries:
        return None
    return read_plan(folder)


@contextmanager
def _prepared(folder: Path, plan: Plan) -> Iterator[Plan]:
    """A folder that holds the plan as it is yielded, without what dead writers left, before and after.

    Whatever the file system refuses from then on is an `IncompleteError`.
    """
    try:
        earlier = _earlier_plan(folder)
        if earlier is not None:
            plan = plan.continuing(earlier, folder)
        (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    except LinkError as error:
        raise ConfigError(str(error), code="folder-unusable", **error.fields) from None
    except OSError as error:
        raise ConfigError(
            f"cannot use {folder} as the data set's folder: {error.strerror}",
            code="folder-unusable",
            folder=folder,
        ) from None
    try:
        _sweep(folder)
        if earlier is None or earlier.n != plan.n:
            _unseal(folder)
            plan.write(folder)
        yield plan
        _sweep(folder)
    except StorageError as error:
        rows = {shard: len(plan.rows(shard)) for shard in range(plan.shards)}
        raise IncompleteError(
            f"{error}\n{_what_is_safe(folder, plan, rows)}", code="stopped"
        ) from None


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
        raise StorageError(
            f"cannot change {folder}: {cause(error)}", code="write-failed", folder=folder
        ) from None


def _check_complete(folder: Path, plan: Plan, records: Collection[int]) -> None:
    """Raise `IncompleteError` unless there are records of all shards."""
    if len(records) < plan.shards:
        missing_shard = next(shard for shard in range(plan.shards) if shard not in records)
        raise IncompleteError(
            f"{folder}: {plan.shards - len(records)} of {plan.shards} shards are missing or damaged "
            f"(the first: {shard_name(missing_shard)}); repeat the command to make them",
            code="shards-missing",
            folder=folder,
            shards=plan.shards,
        )


def seal(folder: Path, plan: Plan) -> Manifest:
    """Write the card and the manifest of finished shards, after the checks that every reader makes.

    Raises:
        IncompleteError: Shards are missing; the message names the first.
        DataError: A reader would refuse the data set; the message names the shard.
    """
    records = read_records(folder, plan)
    _check_complete(folder, plan, records)
    shard_records = list(records.values())
    counts = [
        sum(per_class)
        for per_class in zip(
            *(record.class_counts for record in shard_records), strict=True
        )
    ]
    manifest = Manifest(
        n=plan.n,
        classes=plan.classes,
        config_hash=plan.config_hash,
        fingerprint=fingerprint_sum([record.content for record in shard_records]),
        image_shape=shard_records[0].image_shape,
        bands=bands_of(plan.config),
        class_counts=dict(zip(plan.classes, counts, strict=True)),
        audit=Audit.worst(record.audit for record in shard_records),
        shards=tuple(shard_records),
    )
    # what a reader would refuse must not be called complete
    LocalFolder(folder, manifest).info()
    write_card(folder, plan, manifest)
    manifest.write(folder)
    return manifest
