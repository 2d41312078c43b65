"""Generation: from a plan to shards. A shard depends on the plan and its number alone."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from lenssim.data.format.manifest import Manifest, Plan
from lenssim.data.format.maps import UNITS
from lenssim.data.format.records import Audit
from lenssim.data.format.shard import Samples, scene_attributes
from lenssim.data.format.spec import GenerationSpec
from lenssim.data.format.storage import encode
from lenssim.data.generation.building import Stop, build, build_share, provenance
from lenssim.data.generation.cards import cards_of, is_on_card
from lenssim.data.generation.effort import images_left, paying_workers
from lenssim.data.generation.failures import SampleFailure, sample_failure
from lenssim.data.generation.finishing import checked_pack, store_shard
from lenssim.data.generation.planning import default_shard_size, make_plan
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.reference_check import (
    check_against_reference,
    numbers_to_check,
)
from lenssim.data.generation.runners import Runner, local_runner
from lenssim.data.generation.surroundings import require
from lenssim.data.generation.watch import Note
from lenssim.errors import ConfigError, DataError, SurroundingsError
from lenssim.names import shown
from lenssim.simulate.draw import labels
from lenssim.simulate.engines import REFERENCE, engine_module
from lenssim.simulate.maps import map_modules
from lenssim.simulate.pipeline import Exposure, map_columns, simulate_blocks
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.spec import current_versions
from lenssim.simulate.streams import BLOCK

__all__ = [
    "culprits",
    "default_shard_size",
    "generate",
    "generate_share",
    "make_plan",
    "make_samples",
    "make_shard",
    "modules",
    "share",
]

MAX_CULPRITS = 16
_SIMULATING = Lock()


def generate(
    folder: Path,
    plan: Plan,
    *,
    workers: int | None = 0,
    runner: Runner | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Note = lambda text: None,
    stop: Stop = lambda: False,
) -> Manifest:
    """Simulate the data set of a plan, or go on with it; errors and `stop` as `build`.

    `workers` dask processes on this machine (0: in this process, None: as many as pay for
    their start), or wherever `runner` takes the work. `note` hears of workers that do not
    fit into memory, and when nothing was finished for long.
    """
    if runner is None:
        if workers is None:
            workers = paying_workers(plan, images_left(folder, plan))
        require(min(workers, plan.shards), plan.spec.engine_settings)
        runner = _local_runner(plan, min(workers, plan.shards), note)
    return build(folder, plan, make_shard, runner, report, blame=culprits, stop=stop)


def generate_share(
    folder: Path,
    plan: Plan,
    shards: Iterable[int],
    *,
    workers: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Note = lambda text: None,
    stop: Stop = lambda: False,
) -> int:
    """Simulate some shards of a plan, see `share`; whoever comes last calls `seal`.

    Returns:
        The number of their samples.
    """
    shards = list(shards)
    require(min(workers, len(shards)), plan.spec.engine_settings)
    runner = _local_runner(plan, min(workers, len(shards)), note)
    return build_share(
        folder, plan, shards, make_shard, runner, report, blame=culprits, stop=stop
    )


def _local_runner(plan: Plan, workers: int, note: Note) -> Runner:
    """Return a runner on this machine with what a plan needs."""
    return local_runner(workers, modules(plan), cards=cards_of(plan), note=note)


def share(text: str, shards: int) -> range:
    """Return the shard numbers that a text picks: a number or a slice as in Python.

    Example:
        >>> share("3::8", 20)
        range(3, 20, 8)
    """
    parts = text.split(":")
    try:
        numbers = [_number(part) for part in parts]
        if len(parts) == 1:
            return range(shards)[int(text) : int(text) + 1]
        return range(shards)[slice(*numbers)]
    except (TypeError, ValueError):
        raise ConfigError(
            f"--shards takes a number or a slice such as 0:100 or 3::8, got {shown(text)}",
            code="option-format",
            option="shards",
            value=text,
        ) from None


def _number(text: str) -> int | None:
    """Return a number of a slice; None where it is left out."""
    if not text.strip():
        return None
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def modules(plan: Plan) -> list[str]:
    """Return the modules that take long to import and that every worker of a plan needs."""
    spec = plan.spec
    engines = [engine_module(name) for name in dict.fromkeys((spec.engine, REFERENCE))]
    return engines + map_modules(spec.maps, spec.detectability, spec.residual_from)


def make_shard(folder: str, plan_document: dict[str, Any], shard: int) -> int:
    """Simulate, check and write one shard: the task of one worker.

    While a process writes a shard, another of its threads may simulate the next. Only one
    simulates at a time. It hashes as well, unless a card does most of the work.

    Args:
        folder: Folder of the data set.
        plan_document: Its plan as a document.
        shard: Number of the shard.

    Returns:
        The number of samples.

    Raises:
        ConfigError: This machine has other versions of the engine's libraries than the
            plan, so
            that bits would differ.
    """
    plan = Plan.model_validate(plan_document)
    _check_versions(plan.spec)
    place = Path(folder)
    with ExitStack() as turn:
        turn.enter_context(_SIMULATING)
        samples, report = make_samples(plan, plan.rows(shard))
        if is_on_card(plan):
            turn.close()
        packed = checked_pack(place, plan, shard, samples)
    return store_shard(place, plan, shard, packed, report)


def _check_versions(spec: GenerationSpec) -> None:
    """Refuse libraries of other versions than the specification states."""
    differing = {
        name: version
        for name, version in current_versions(spec.engine).items()
        if spec.versions.get(name) != version
    }
    if differing:
        stated = {name: spec.versions.get(name) for name in differing}
        raise ConfigError(
            f"a worker has {differing} where the plan states {stated}: bits differ; "
            "give every worker the same environment",
            code="worker-differs",
            differing=differing,
            stated=stated,
        )


def culprits(plan: Plan, shard: int) -> list[SampleFailure]:
    """Return the samples of a shard that cannot be made, at most 16, with tracebacks."""
    failures: list[SampleFailure] = []
    rows = plan.rows(shard)
    for start in rows[::BLOCK]:
        block = range(start, min(start + BLOCK, rows.stop))
        if _failure(plan, block) is None:
            continue
        for number in block:
            failure = _failure(plan, range(number, number + 1))
            if failure is not None:
                failures.append(failure)
        if len(failures) >= MAX_CULPRITS:
            break
    return failures[:MAX_CULPRITS]


def _failure(plan: Plan, rows: range) -> SampleFailure | None:
    try:
        with _SIMULATING:
            make_samples(plan, rows)
    except (OSError, SurroundingsError):  # no sample's fault
        raise
    except Exception as error:
        return sample_failure(plan, rows.start, error)
    return None


def make_samples(plan: Plan, rows: range) -> tuple[Samples, Audit | None]:
    """Simulate samples of a plan.

    Args:
        plan: The plan of a simulated data set.
        rows: The sample numbers.

    Returns:
        The samples as they are stored, and their comparison with the reference engine, None
        for the reference itself.

    Raises:
        ConfigError: What is drawn cannot be rendered.
        DataError: Pixels are not finite, or too far from those of the reference engine.
    """
    spec = plan.spec
    numbers = np.arange(rows.start, rows.stop)
    checked = numbers_to_check(spec, numbers)
    images = np.empty((len(numbers), *spec.preset.image_shape), spec.storage)
    scale_parts: list[np.ndarray] = []
    parts: list[Scenes] = []
    map_parts: list[dict[str, np.ndarray]] = []
    arc_parts: list[dict[str, np.ndarray]] = []
    audits: list[Audit | None] = []
    for positions, exposure in simulate_blocks(spec, numbers):
        audits.append(check_against_reference(exposure, checked))
        _check_finite(exposure)
        images[positions], scale = encode(
            exposure.observed, exposure.numbers, spec.storage, spec.dither_stream
        )
        if scale is not None:
            scale_parts.append(scale)
        parts.append(exposure.scenes)
        map_parts.append(exposure.maps)
        arc_parts.append(exposure.arc_columns)
    maps = _joined(map_parts)
    scenes = Scenes.concatenate(parts)
    computed = map_columns(spec, scenes, maps) | _joined(arc_parts)
    samples = _samples(plan, spec, numbers, images, scenes, maps, computed)
    if scale_parts:
        samples = replace(samples, scale=np.concatenate(scale_parts))
    return samples, Audit.worst(audits)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays of consecutive samples as one, by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_finite(exposure: Exposure) -> None:
    """Refuse images with pixels that are no numbers."""
    finite = np.isfinite(exposure.observed).all(axis=(1, 2, 3))
    if not finite.all():
        raise DataError(
            f"the images of samples {exposure.numbers[~finite].tolist()} hold NaN or "
            "infinite pixels",
            code="images-not-finite",
        )


def _samples(
    plan: Plan,
    spec: GenerationSpec,
    numbers: np.ndarray,
    images: np.ndarray,
    scenes: Scenes,
    maps: dict[str, np.ndarray],
    computed: dict[str, np.ndarray],
) -> Samples:
    """Return simulated images and their scenes as the samples of a shard."""
    params = scenes.params | computed
    names = set(params)
    for table in scenes.perturbers.values():
        names |= table.columns.keys()
    return Samples(
        images=images,
        compress=spec.compress,
        labels=labels(spec.preset, numbers),
        index=numbers,
        params=params,
        perturbers=scenes.perturbers,
        units={name: scenes.unit(name) for name in names} | UNITS,
        attributes={**provenance(plan), **scene_attributes(scenes)},
        texts={},
        truth=maps,
    )
