"""Generation: from a preset to shards. The work of one shard is a pure function of the plan and its number."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.audit import REFERENCE, audit, audited
from lenssim.data.build import Progress, build, finish_shard, provenance
from lenssim.data.cluster import Runner, local_runner
from lenssim.data.manifest import PLAN, Audit, Manifest, Plan, read_plan
from lenssim.data.shards import Samples, scene_attributes
from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine, engine_module, engine_settings, engine_versions
from lenssim.simulate.instruments import check_sampling
from lenssim.simulate.observe import observe
from lenssim.simulate.preset import Preset, parse_preset
from lenssim.simulate.streams import BLOCK, split_code

__all__ = ["default_shard_size", "generate", "make_plan", "make_samples", "make_shard"]

_SHARD_BYTES = 64 * 2**20
_BATCH = 4 * BLOCK  # samples rendered at a time: bounds memory, changes no bits


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
    supersampling: int | None = None,
    shard_size: int | None = None,
    folder: Path | None = None,
) -> Plan:
    """A checked plan; `ConfigError` for numbers and names that cannot be.

    Without a `shard_size`, a data set that already lies in `folder` keeps its own.
    """
    for name, value, least in (("n", n, 1), ("the seed", seed, 0), ("the shard size", shard_size, 1)):
        if value is not None and value < least:
            raise ConfigError(f"{name} must be at least {least}, got {value}")
    if supersampling is not None and not 1 <= supersampling <= 12:
        raise ConfigError(f"supersampling must lie in 1..12, got {supersampling}")
    split_code(split)
    check_sampling(preset.instrument, supersampling or preset.supersampling)
    config = {
        "kind": "simulated",
        "preset": preset.model_dump(mode="json"),
        "seed": seed,
        "split": split,
        "noise": preset.noise_kind(noise),
        "engine": engine_name,
        "engine_settings": engine_settings(engine_name, precision, device),
        "supersampling": supersampling or preset.supersampling,
        "versions": {"lenssim": lenssim.__version__, **engine_versions(engine_name)},
    }
    if shard_size is None and folder is not None and (folder / PLAN).exists():
        shard_size = read_plan(folder).shard_size
    return Plan(n=n, shard_size=shard_size or default_shard_size(n, preset), classes=preset.class_names, config=config)


def generate(
    folder: Path,
    plan: Plan,
    *,
    workers: int = 0,
    runner: Runner | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Manifest:
    """Simulate the data set of `plan` into `folder`, or go on with it; errors as `build`.

    `workers` dask processes on this machine (0: in this process), or wherever `runner` takes the work.
    """
    if runner is None:
        modules = [engine_module(name) for name in dict.fromkeys((plan.config["engine"], REFERENCE))]
        runner = local_runner(min(workers, plan.shards), preload=modules)
    return build(folder, plan, make_shard, runner, report)


def make_shard(folder: str, plan_document: dict[str, Any], shard: int) -> int:
    """The task of one worker: simulate, audit and write one shard; returns the number of samples."""
    plan = Plan.model_validate(plan_document)
    samples, report = make_samples(plan, plan.rows(shard))
    return finish_shard(Path(folder), plan, shard, samples, report)


def make_samples(plan: Plan, rows: range) -> tuple[Samples, Audit | None]:
    """Draw, render and observe the samples `rows` of a plan; the second is the audit of engines that need one."""
    config = plan.config
    preset = parse_preset(config["preset"], "the plan's preset")
    numbers = np.arange(rows.start, rows.stop)
    scenes = draw(preset, numbers, seed=config["seed"], split=config["split"])
    camera, rays = preset.instrument, config["supersampling"]
    renderer = engine(config["engine"], **config["engine_settings"])
    to_audit = audited(numbers) if config["engine"] != REFERENCE else np.array([], dtype=int)
    audits = []
    images = np.empty((len(numbers), 1, camera.num_pix, camera.num_pix), np.float32)
    for start in range(0, len(numbers), _BATCH):
        part = slice(start, start + _BATCH)
        batch = scenes.take(part)
        expected = renderer.render(batch, camera, supersampling=rays)
        if len(own := to_audit[(to_audit >= start) & (to_audit < start + _BATCH)] - start):
            precision = config["engine_settings"]["precision"]
            audits.append(audit(expected[own], batch.take(own), camera, rays, precision))
        images[part] = observe(
            expected,
            batch,
            camera,
            config["noise"],
            numbers=numbers[part],
            seed=config["seed"],
            split=config["split"],
        )
    perturber_columns = {name for table in scenes.perturbers.values() for name in table.columns}
    samples = Samples(
        images=images,
        labels=labels(preset, numbers),
        index=numbers,
        params=scenes.params,
        perturbers=scenes.perturbers,
        units={name: scenes.unit(name) for name in {*scenes.params, *perturber_columns}},
        attributes={**provenance(plan), **scene_attributes(scenes)},
        texts={},
    )
    return samples, Audit.worst(audits)
