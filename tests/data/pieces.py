"""Cheap data sets for tests of what does not depend on physics: random images, made by tasks that pickle anywhere.

As a script it is a driver to be killed: pieces.py FOLDER SAMPLES SHARD_SIZE WORKERS SECONDS_A_SHARD [stoppable].
"""

import sys
import time
from pathlib import Path

from lenssim.data.format.manifest import Plan


def plan_of(n: int, shard_size: int, **config) -> Plan:
    return Plan(
        n=n,
        shard_size=shard_size,
        classes=("a", "b", "c"),
        config={"kind": "test", "seed": 1, **config},
    )


def slow_task(seconds: float, shape: tuple[int, int, int] = (1, 8, 8)):
    """A task that takes a while for each shard; it refers to nothing that a worker could not import."""

    def task(target, document, shard):
        import numpy as np

        from lenssim.data.format.manifest import Plan as ThePlan
        from lenssim.data.format.shard import Samples
        from lenssim.data.generation.building import provenance
        from lenssim.data.generation.finishing import finish_shard
        from lenssim.simulate.streams import BLOCK

        plan = ThePlan.model_validate(document)
        numbers = np.array(plan.rows(shard))
        blocks = np.concatenate(
            [
                np.random.default_rng(b).standard_normal((BLOCK, *shape))
                for b in np.unique(numbers // BLOCK)
            ]
        )
        images = blocks[numbers - numbers[0] // BLOCK * BLOCK].astype(np.float32)
        images[:, 0, 0, 0] = numbers
        samples = Samples(
            images=images,
            labels=numbers % 3,
            index=numbers,
            params={"theta_E": numbers / 10},
            perturbers={},
            units={"theta_E": "arcsec"},
            attributes=provenance(plan),
            texts={},
        )
        storage, compress = plan.config.get("storage", "float32"), "compress" in plan.config
        if storage != "float32" or compress:
            samples = samples.stored_as(storage, compress)
        time.sleep(seconds)
        return finish_shard(Path(target), plan, shard, samples)

    return task


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".tmp")]


def make(
    folder: Path,
    n: int,
    shard_size: int,
    *,
    workers: int = 0,
    seconds: float = 0,
    scheduler: str = "",
    stop=lambda: False,
    **config,
):
    from lenssim.data.generation.building import build
    from lenssim.data.generation.runners import local_runner, scheduler_runner

    runner = scheduler_runner(scheduler) if scheduler else local_runner(workers)
    return build(
        folder, plan_of(n, shard_size, **config), slow_task(seconds), runner, stop=stop
    )


if __name__ == "__main__":
    _, place, samples, size, processes, pause, *address = sys.argv
    if address == ["stoppable"]:
        from lenssim.cli.stop import stoppable

        with stoppable() as stop:
            make(
                Path(place),
                int(samples),
                int(size),
                workers=int(processes),
                seconds=float(pause),
                stop=stop,
            )
    else:
        make(
            Path(place),
            int(samples),
            int(size),
            workers=int(processes),
            seconds=float(pause),
        )
