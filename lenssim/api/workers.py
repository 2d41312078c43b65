"""Where the shards of a data set are made: on this machine, on a batch queue or on a dask scheduler."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Plan
    from lenssim.data.generation.runners import Runner

__all__ = ["Workers"]


@dataclass(frozen=True)
class Workers:
    """Where shards are made: here, by the jobs of a batch queue, or on a dask scheduler."""

    count: int | None = None
    cluster: Path | str | None = None
    scheduler: str | None = None
    dashboard: bool = False

    def check(self) -> None:
        """Refuse more than one place, and numbers of workers that cannot be.

        Raises:
            ConfigError: One of these.
        """
        places = (self.count, self.cluster, self.scheduler)
        if sum(place is not None for place in places) > 1:
            raise ConfigError(
                "give one of workers, cluster and scheduler",
                code="options-conflict",
                options=("workers", "cluster", "scheduler"),
            )
        if self.count is not None and not 0 <= self.count <= 1024:
            raise ConfigError(
                f"the number of workers must lie in 0..1024, got {self.count}",
                code="option-range",
                option="workers",
                value=self.count,
            )

    def runner(self, folder: Path, plan: "Plan") -> "Runner":
        """Return what runs the shards of a plan."""
        from lenssim.data.generation.runners import scheduler_runner
        from lenssim.notes import note

        if self.cluster is not None:
            from lenssim.data.generation.batch_queue import queue_runner, read_queue

            queue = read_queue(Path(self.cluster))
            return queue_runner(queue, folder, dashboard=self.dashboard, note=note)
        if self.scheduler is not None:
            return scheduler_runner(self.scheduler, dashboard=self.dashboard, note=note)
        return self._local_runner(plan)

    def _local_runner(self, plan: "Plan") -> "Runner":
        """Return a runner on this machine, which is looked at before."""
        from lenssim.data.generation.runners import default_workers, local_runner
        from lenssim.data.generation.simulation import modules
        from lenssim.data.generation.surroundings import require
        from lenssim.notes import note

        count = default_workers() if self.count is None else self.count
        count = min(count, plan.shards)
        require(count, plan.spec.engine_settings)
        return local_runner(count, modules(plan), dashboard=self.dashboard, note=note)
