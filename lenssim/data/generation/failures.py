"""Failures: a shard that cannot be made is tried again, then recorded with its samples, seeds and traceback."""

import contextlib
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lenssim.data.format.files import read_json, write_json
from lenssim.data.format.manifest import Plan, read_record, shard_name
from lenssim.data.format.origin import Origin
from lenssim.errors import (
    ConfigError,
    DataError,
    StorageError,
    SurroundingsError,
    VerificationError,
    from_validation,
)
from lenssim.folders import reason
from lenssim.record import Record
from lenssim.simulate.class_order import class_name_of

__all__ = [
    "FAILURES",
    "Blame",
    "Outcome",
    "SampleFailure",
    "ShardFailure",
    "Task",
    "attempt",
    "keep",
    "read_failures",
    "record",
    "sample_failure",
]

FAILURES = "failures"
_TRIES = 2

Task = Callable[
    [str, dict[str, Any], int], int
]  # (folder, plan document, shard number) -> samples made


class SampleFailure(Record):
    """A sample that fails on its own, and how: (preset, seed, split, number) make it again."""

    number: int = Field(ge=0)
    class_name: str
    seed: int | None = None
    split: str | None = None
    error: str
    traceback: str


class ShardFailure(Record):
    """The content of failures/<shard>.json; no `samples` if none of them fails alone (memory, a dead worker)."""

    shard: int = Field(ge=0)
    tries: int = Field(ge=1)
    error: str
    traceback: str
    samples: tuple[SampleFailure, ...] = ()

    def __str__(self) -> str:
        who = ", ".join(str(sample.number) for sample in self.samples)
        return f"{shard_name(self.shard)}{f', sample {who}' if who else ''}: {self.error}"


Blame = Callable[
    [Plan, int], list[SampleFailure]
]  # the samples of a shard that fail on their own


@dataclass(frozen=True)
class Outcome:
    """What became of a shard: `rows` samples made, after `retries`; or `failure`, in words.

    `worker` is the address of who made it; `states` tells what each worker has in hand and has made.
    """

    shard: int
    rows: int
    retries: int = 0
    failure: str = ""
    worker: str = ""
    states: dict[str, str] | None = None


def attempt(
    task: Task, blame: Blame | None, folder: str, document: dict[str, Any], shard: int
) -> Outcome:
    """Make a shard unless it is there; try again if that fails, then record why, so that others can go on.

    Errors that no repetition mends (`ConfigError`, `VerificationError`) or that meet every shard (`StorageError`) are
    raised. A library that cannot be loaded (`ImportError`), and what the system refuses twice (`OSError`), are no
    sample's fault: they are a `SurroundingsError`.
    """
    plan = Plan.model_validate(document)
    place = Path(folder)
    record_on_disk = read_record(place, plan, shard)
    if record_on_disk is not None:  # a worker finished it and died before it could say so
        return Outcome(shard, record_on_disk.rows)
    for tries in range(_TRIES):
        try:
            rows = task(folder, document, shard)
        except (ConfigError, StorageError, VerificationError):
            raise
        except ImportError as error:
            raise SurroundingsError(
                f"a library that a shard needs cannot be loaded: {error}; no sample is at fault. Is it installed here, "
                "and is memory limited (ulimit -v)? lenssim doctor looks for what is wrong",
                code="surroundings",
            ) from error
        except OSError as error:
            if tries + 1 == _TRIES:
                raise _refused(error) from error
        except Exception as error:
            failure = ShardFailure(
                shard=shard,
                tries=tries + 1,
                error=_line(error),
                traceback=traceback.format_exc(),
            )
        else:
            with contextlib.suppress(OSError):
                _path(place, shard).unlink(missing_ok=True)
            return Outcome(shard, rows, retries=tries)
    samples = _blamed(blame, plan, shard)
    return record(place, failure.model_copy(update={"samples": samples}))


def _blamed(blame: Blame | None, plan: Plan, shard: int) -> tuple[SampleFailure, ...]:
    """Return the samples at fault, where somebody can find them."""
    if blame is None:
        return ()
    try:
        return tuple(blame(plan, shard))
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> SurroundingsError:
    where = "" if error.filename is None else f" at {os.fsdecode(error.filename)}"
    return SurroundingsError(
        f"the system refused what a shard needs{where}: {reason(error)}; no sample is at fault. Mend that "
        "(lenssim doctor looks for it), then repeat the command",
        code="surroundings",
        where=where,
    )


def record(folder: Path, failure: ShardFailure) -> Outcome:
    """Write a failure into the data set's folder."""
    try:
        _path(folder, failure.shard).parent.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot write into {folder}: {error.strerror}",
            code="write-failed",
            folder=folder,
        ) from None
    write_json(_path(folder, failure.shard), failure.model_dump(mode="json"))
    return Outcome(failure.shard, 0, retries=failure.tries - 1, failure=str(failure))


def keep(folder: Path, outcome: Outcome) -> None:
    """Record a failure that the worker could not record itself, because it died of it."""
    if not _path(folder, outcome.shard).exists():
        record(
            folder,
            ShardFailure(shard=outcome.shard, tries=1, error=outcome.failure, traceback=""),
        )


def sample_failure(plan: Plan, number: int, error: BaseException) -> SampleFailure:
    """The record of a sample whose making raised `error`; to be called while it is handled."""
    origin = Origin.of(plan.config)
    return SampleFailure(
        number=number,
        class_name=class_name_of(plan.spec.preset, number),
        seed=origin.seed,
        split=origin.split,
        error=_line(error),
        traceback=traceback.format_exc(),
    )


def read_failures(folder: Path) -> list[ShardFailure]:
    """The failures on record in a data set's folder, by shard."""
    try:
        return [
            ShardFailure.model_validate(read_json(path))
            for path in sorted((folder / FAILURES).glob("*.json"))
        ]
    except ValidationError as error:
        where = f"{folder / FAILURES} holds a file that is no record of a failure"
        raise from_validation(error, where, kind=DataError) from None


def _path(folder: Path, shard: int) -> Path:
    return (folder / FAILURES / shard_name(shard)).with_suffix(".json")


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, DataError) else f"{type(error).__name__}: {text}"
