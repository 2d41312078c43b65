"""Where the shards of a data set are made: on this machine, on a batch queue or on a dask scheduler."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Plan
    from lenssim.data.generation.progress import Report
    from lenssim.data.generation.runners import Runner

__all__ = ["Workers", "check_workers"]

MAX_WORKERS = 1024


def check_workers(count: int | None) -> None:
    """Refuse a number of worker processes that cannot be; None is left to the machine."""
    if count is not None and not 0 <= count <= MAX_WORKERS:
        raise ConfigError(
            f"the number of workers must lie in 0..{MAX_WORKERS}, got {count}",
            code="option-range",
            option="workers",
            value=count,
        )


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
                "give one of --workers, --cluster and --scheduler",
                code="options-conflict",
                options=("workers", "cluster", "scheduler"),
            )
        check_workers(self.count)

    def number(self, plan: "Plan", images: int | None = None) -> int:
        """Return the number of worker processes on this machine.

        Args:
            plan: What they are to make.
            images: How many images of it are still to make. None: all.

        Returns:
            What the user says, or else as many as pay for their start.
        """
        if self.count is not None:
            return self.count
        from lenssim.data.generation.effort import paying_workers

        return paying_workers(plan, images)

    def script(self) -> str | None:
        """Return the script of a queue's jobs; None where there are none."""
        if self.cluster is None:
            return None
        from lenssim.data.generation.batch_queue import job_script, read_queue

        return job_script(read_queue(Path(self.cluster)))

    def jobs(self) -> str:
        """Return how many jobs of how many workers a queue gets."""
        from lenssim.data.generation.batch_queue import read_queue

        queue = read_queue(Path(str(self.cluster)))
        return f"{queue.jobs} of {queue.workers} workers each"

    def prepare(self, plan: "Plan", report: "Report") -> None:
        """Compile the kernels of a plan that this machine lacks, if it is the place.

        Args:
            plan: The plan of a data set.
            report: Hears of it as a phase.
        """
        if self.cluster is not None or self.scheduler is not None:
            return
        from lenssim.data.generation.first_kernels import compile_kernels

        compile_kernels(plan.spec, report, plan.n)

    def runner(self, folder: Path, plan: "Plan") -> "Runner":
        """Return what runs the shards of a plan."""
        from lenssim.data.generation.runners import scheduler_runner
        from lenssim.notes import say

        if self.cluster is not None:
            from lenssim.data.generation.batch_queue import queue_runner, read_queue

            queue = read_queue(Path(self.cluster))
            return queue_runner(queue, folder, dashboard=self.dashboard, note=say)
        if self.scheduler is not None:
            return scheduler_runner(self.scheduler, dashboard=self.dashboard, note=say)
        return self._local_runner(folder, plan)

    def _local_runner(self, folder: Path, plan: "Plan") -> "Runner":
        """Return a runner on this machine, which is looked at before."""
        from lenssim.data.generation.cards import cards_of
        from lenssim.data.generation.effort import images_left
        from lenssim.data.generation.runners import local_runner
        from lenssim.data.generation.simulation import modules
        from lenssim.data.generation.surroundings import require
        from lenssim.notes import say

        count = min(self.number(plan, images_left(folder, plan)), plan.shards)
        require(count, plan.spec.engine_settings)
        return local_runner(
            count,
            modules(plan),
            cards=cards_of(plan),
            dashboard=self.dashboard,
            note=say,
        )
