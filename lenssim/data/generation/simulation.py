"""Generation: from a preset to shards. The work of one shard is a pure function of the plan and its number."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.format.manifest import (
    PLAN,
    Audit,
    Manifest,
    Plan,
    check_size,
    read_plan,
    without_paths,
)
from lenssim.data.format.maps import (
    UNITS,
    Sight,
    pictures,
    scalars,
    truth_config,
    truth_modules,
)
from lenssim.data.format.shard import Samples, scene_attributes
from lenssim.data.format.storage import check_storage
from lenssim.data.generation.building import (
    Progress,
    Stop,
    build,
    build_share,
    finish_shard,
    provenance,
)
from lenssim.data.generation.failures import SampleFailure, sample_failure
from lenssim.data.generation.reference_check import REFERENCE, audit, audited
from lenssim.data.generation.runners import Runner, local_runner
from lenssim.data.generation.surroundings import require
from lenssim.data.generation.watch import Note
from lenssim.errors import ConfigError, DataError, SurroundingsError
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import (
    check_adaptive,
    engine,
    engine_module,
    engine_settings,
    engine_versions,
)
from lenssim.simulate.instruments import Supersampling, check_sampling, parse_sampling
from lenssim.simulate.observe import observe
from lenssim.simulate.preset import Preset, parse_preset
from lenssim.simulate.streams import BLOCK, split_code

__all__ = [
    "culprits",
    "default_shard_size",
    "generate",
    "generate_share",
    "make_plan",
    "make_samples",
    "make_shard",
    "modules",
    "plan_preset",
    "share",
    "stored_config",
    "versions",
]

_SHARD_BYTES = 64 * 2**20
_MAX_SHARD_BYTES = 16 * 2**30  # a shard is built in memory
_BATCH = BLOCK  # samples rendered at a time: bounds memory, changes no bits
_MOST_CULPRITS = 16


def default_shard_size(n: int, preset: Preset) -> int:
    """Samples a shard: whole blocks, at least eight shards where there are enough samples, at most 64 MiB each."""
    image_bytes = 4 * preset.instrument.num_pix**2
    most = max(1, min(2048, _SHARD_BYTES // image_bytes) // BLOCK)
    return BLOCK * max(1, min(most, -(-n // (8 * BLOCK))))


def make_plan(
    preset: Preset,
    n: int,
    *,
    seed: int = 0,
    split: str = "train",
    noise: str | None = None,
    engine_name: str = "batched",
    precision: str | None = None,
    device: str | None = None,
    supersampling: Supersampling | None = None,
    shard_size: int | None = None,
    storage: str | None = None,
    compress: bool = False,
    detectability: bool = False,
    truth: Sequence[str] = (),
    folder: Path | None = None,
) -> Plan:
    """A checked plan; `ConfigError` for numbers and names that cannot be.

    Without a `shard_size`, a data set that already lies in `folder` keeps its own; where there is none yet, a first
    sample is drawn, so that physics that cannot be leaves no folder behind. `detectability` stores each sample's
    delta chi2 among its parameters, which takes the batched engine on the CPU; `truth` names pictures to keep beside
    the images (`lenssim.data.format.maps`).
    """
    for name, value, least in (
        ("n", n, 1),
        ("the seed", seed, 0),
        ("the shard size", shard_size, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{name} must be at least {least}, got {value}")
    preset.check()
    sampling = (
        preset.supersampling
        if supersampling is None
        else parse_sampling(str(supersampling))
    )
    split_code(split)
    check_sampling(preset.instrument, sampling)
    check_adaptive(engine_name, sampling)
    config: dict[str, Any] = {
        "kind": "simulated",
        "preset": preset.model_dump(mode="json"),
        "seed": seed,
        "split": split,
        "noise": preset.noise_kind(noise),
        "engine": engine_name,
        "engine_settings": engine_settings(engine_name, precision, device),
        "supersampling": sampling,
        "versions": versions(engine_name),
    }
    config |= stored_config(storage or "float32", compress)
    config |= truth_config(config, truth, detectability)
    if folder is not None and not (folder / PLAN).exists():
        draw(preset, [0], seed=seed, split=split)
    elif folder is not None and shard_size is None:
        shard_size = read_plan(folder).shard_size
    shard_size = shard_size or default_shard_size(n, preset)
    check_size(n, shard_size)
    _check_shard_bytes(min(n, shard_size), preset)
    return Plan(
        n=n,
        shard_size=shard_size,
        classes=preset.class_names,
        config=without_paths(config),
        hints=_hints(preset),
    )


def _check_shard_bytes(rows: int, preset: Preset) -> None:
    image_bytes = 4 * preset.instrument.num_pix**2
    if rows * image_bytes > _MAX_SHARD_BYTES:
        raise ConfigError(
            f"{rows:,} images a shard take {rows * image_bytes / 2**30:,.0f} GiB of memory; a shard has at most "
            f"{_MAX_SHARD_BYTES >> 30} GiB of images: choose a smaller --shard-size"
        )


def _hints(preset: Preset) -> dict[str, str]:
    """Where the files lie that a preset names."""
    if preset.galaxies is None or not preset.galaxies.path:
        return {}
    return {"galaxies": preset.galaxies.path}


def plan_preset(plan: Plan) -> Preset:
    """Return the preset of a simulated data set; its galaxies lie where the plan's hints say, if they say anything.

    Raises:
        ConfigError: The plan holds a preset that cannot be.
    """
    preset = parse_preset(plan.config["preset"], "the plan's preset")
    path = plan.hints.get("galaxies")
    if preset.galaxies is None or not path:
        return preset
    return preset.with_galaxies(path)


def stored_config(storage: str, compress: bool) -> dict[str, Any]:
    """What the config says of a storage; nothing of the default, which is older than the choice."""
    check_storage(storage, compress)
    return ({"storage": storage} if storage != "float32" else {}) | (
        {"compress": "bitshuffle-lz4"} if compress else {}
    )


def generate(
    folder: Path,
    plan: Plan,
    *,
    workers: int = 0,
    runner: Runner | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Note = lambda text: None,
    stop: Stop = lambda: False,
) -> Manifest:
    """Simulate the data set of `plan` into `folder`, or go on with it; errors and `stop` as `build`.

    `workers` dask processes on this machine (0: in this process), or wherever `runner` takes the work. `note` hears of
    workers that do not fit into memory, and when nothing was finished for long.
    """
    if runner is None:
        require(min(workers, plan.shards), plan.config["engine_settings"])
        runner = local_runner(min(workers, plan.shards), preload=modules(plan), note=note)
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
    """Simulate some shards of a plan, see `share`; returns their samples. Whoever comes last calls `seal`."""
    shards = list(shards)
    require(min(workers, len(shards)), plan.config["engine_settings"])
    runner = local_runner(min(workers, len(shards)), preload=modules(plan), note=note)
    return build_share(
        folder, plan, shards, make_shard, runner, report, blame=culprits, stop=stop
    )


def share(text: str, shards: int) -> range:
    """The shard numbers that `text` picks, a number or a slice as in Python: `7`, `0:100`, `3::8`."""
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
        if len(parts) > 3 or any(number is not None and number < 0 for number in numbers):
            raise ValueError
        if len(parts) == 1:
            return range(shards)[int(text) : int(text) + 1]
        return range(shards)[slice(*numbers)]
    except ValueError:
        raise ConfigError(
            f"--shards takes a number or a slice such as 0:100 or 3::8, got {text!r}"
        ) from None


def modules(plan: Plan) -> list[str]:
    """Modules that take long to import and that every worker of a plan needs."""
    engines = [
        engine_module(name) for name in dict.fromkeys((plan.config["engine"], REFERENCE))
    ]
    return engines + truth_modules(plan.config)


def make_shard(folder: str, plan_document: dict[str, Any], shard: int) -> int:
    """The task of one worker: simulate, audit and write one shard; returns the number of samples.

    `ConfigError` if this machine has other versions of the engine's libraries than the plan: its bits would differ.
    """
    plan = Plan.model_validate(plan_document)
    asked = plan.config["versions"]
    here = {
        name: version
        for name, version in versions(plan.config["engine"]).items()
        if asked.get(name) != version
    }
    if here:
        raise ConfigError(
            f"a worker has {here} where the plan states { {name: asked.get(name) for name in here} }: bits differ; "
            "give every worker the same environment"
        )
    samples, report = make_samples(plan, plan.rows(shard))
    return finish_shard(Path(folder), plan, shard, samples, report)


def culprits(plan: Plan, shard: int) -> list[SampleFailure]:
    """The first samples of a shard that cannot be made even alone, with their tracebacks."""
    found: list[SampleFailure] = []
    rows = plan.rows(shard)
    for start in rows[::BLOCK]:
        block = range(start, min(start + BLOCK, rows.stop))
        if _failure(plan, block) is None:
            continue
        found += [
            failure
            for number in block
            if (failure := _failure(plan, range(number, number + 1)))
        ]
        if len(found) >= _MOST_CULPRITS:
            break
    return found[:_MOST_CULPRITS]


def _failure(plan: Plan, rows: range) -> SampleFailure | None:
    try:
        make_samples(plan, rows)
    except (OSError, SurroundingsError):  # no sample's fault
        raise
    except Exception as error:
        return sample_failure(plan, rows.start, error)
    return None


def versions(engine_name: str) -> dict[str, str]:
    """Versions, here, of all that a data set's bits depend on."""
    return {"lenssim": lenssim.__version__, **engine_versions(engine_name)}


def make_samples(plan: Plan, rows: range) -> tuple[Samples, Audit | None]:
    """Draw, render and observe the samples `rows` of a plan; the second is the audit of engines that need one."""
    config = plan.config
    preset = plan_preset(plan)
    numbers = np.arange(rows.start, rows.stop)
    scenes = draw(preset, numbers, seed=config["seed"], split=config["split"])
    camera, rays = preset.instrument, config["supersampling"]
    renderer = engine(config["engine"], **config["engine_settings"])
    to_audit = (
        audited(numbers) if config["engine"] != REFERENCE else np.array([], dtype=int)
    )
    audits, truths = [], []
    images = np.empty((len(numbers), 1, camera.num_pix, camera.num_pix), np.float32)
    for start in range(0, len(numbers), _BATCH):
        part = slice(start, start + _BATCH)
        batch = scenes.take(part)
        expected = renderer.render(batch, camera, supersampling=rays)
        if len(own := to_audit[(to_audit >= start) & (to_audit < start + _BATCH)] - start):
            precision = config["engine_settings"].get("precision", config["engine"])
            audits.append(
                audit(
                    renderer,
                    expected[own],
                    batch.take(own),
                    camera,
                    rays,
                    precision,
                    numbers[start + own],
                )
            )
        images[part] = observe(
            expected,
            batch,
            camera,
            config["noise"],
            numbers=numbers[part],
            seed=config["seed"],
            split=config["split"],
        )
        if not (whole := np.isfinite(images[part]).all(axis=(1, 2, 3))).all():
            raise DataError(
                f"the images of samples {numbers[part][~whole].tolist()} hold NaN or infinite pixels"
            )
        truths.append(pictures(Sight(expected, images[part], batch, preset, config)))
    truth = {name: np.concatenate([each[name] for each in truths]) for name in truths[0]}
    params = scenes.params | scalars(scenes, preset, config, truth)
    perturber_columns = {
        name for table in scenes.perturbers.values() for name in table.columns
    }
    samples = Samples(
        images=images,
        labels=labels(preset, numbers),
        index=numbers,
        params=params,
        perturbers=scenes.perturbers,
        units={name: scenes.unit(name) for name in {*params, *perturber_columns}} | UNITS,
        attributes={**provenance(plan), **scene_attributes(scenes)},
        texts={},
        truth=truth,
    )
    if config.get("storage") or config.get("compress"):
        samples = samples.stored_as(
            config.get("storage", "float32"), bool(config.get("compress"))
        )
    return samples, Audit.worst(audits)
