"""The progress of a data set that is being made: what a display is told, and the count behind it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lenssim.data.generation.failures import Outcome

__all__ = ["Progress", "Report", "ShardTally"]

_HOPELESS = 8  # shards failed before any succeeded


@dataclass(frozen=True)
class Progress:
    """What a display is told: samples done, samples in all, and samples that were there at the start.

    Samples in shards that failed, shards that had to be tried again, and what each worker has in hand. A phase before
    the first sample says in words what is done.
    """

    done: int
    total: int
    resumed: int
    failed: int = 0
    retried: int = 0
    workers: dict[str, str] = field(default_factory=dict)
    phase: str = ""


Report = Callable[[Progress], None]


class ShardTally:
    """What became of the shards so far, counted in samples.

    Args:
        rows: Number of samples of each shard.
        todo: Shards that are still to make.
    """

    def __init__(self, rows: Mapping[int, int], todo: Iterable[int]) -> None:
        self.rows = rows
        self.total = sum(rows.values())
        self.resumed = self.total - sum(rows[shard] for shard in todo)
        self.samples_done = self.resumed
        self.failures: list[Outcome] = []
        self.retried = 0

    def add(self, outcome: Outcome) -> None:
        """Count the outcome of a shard."""
        self.samples_done += outcome.rows
        self.retried += outcome.retries
        if outcome.failure:
            self.failures.append(outcome)

    @property
    def is_hopeless(self) -> bool:
        """Whether all fails: a mistake in every sample need not be met a million times."""
        return len(self.failures) >= _HOPELESS and self.samples_done == self.resumed

    def progress(self, states: dict[str, str] | None = None) -> Progress:
        """Return the progress, with the states of the workers."""
        failed = sum(self.rows[failure.shard] for failure in self.failures)
        return Progress(
            self.samples_done,
            self.total,
            self.resumed,
            failed,
            self.retried,
            states or {},
        )
