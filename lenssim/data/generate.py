"""Generation: plan, shards, manifest. The work of one shard is a pure function of the plan and the shard's number."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.cluster import Runner, local_runner
from lenssim.data.files import canonical_json, read_json, sweep, write_json
from lenssim.data.manifest import (
    MANIFEST,
    SHARDS,
    Manifest,
    Plan,
    ShardRecord,
    read_plan,
    shard_name,
)
from lenssim.data.shards import Samples, fingerprint_sum, scene_attributes, write_shard
from lenssim.errors import ConfigError, DataError, IncompleteError
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine
from lenssim.simulate.observe import observe
from lenssim.simulate.preset import Preset, parse_preset
from lenssim.simulate.streams import BLOCK, split_code

__all__ = ["Progress", "default_shard_size", "generate", "make_plan", "make_shard", "seal"]

_SHARD_BYTES = 64 * 2**20
_BATCH = 4 * BLOCK  # rows rendered at a time: bounds memory, changes no bits


@dataclass(frozen=True)
class Progress:
    """What a progress display is told: samples done, to do in all, and already there at the start."""

    done: int
    total: int
    resumed: int


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
    engine_name: str = "lenstronomy",
    supersampling: int | None = None,
    shard_size: int | None = None,
) -> Plan:
    """A checked plan; `ConfigError` for numbers and names that cannot be."""
    if n < 1:
        raise ConfigError(f"n must be at least 1, got {n}")
    if seed < 0:
        raise ConfigError(f"the seed must be at least 0, got {seed}")
    if shard_size is not None and shard_size < 1:
        raise ConfigError(f"the shard size must be at least 1, got {shard_size}")
    if supersampling is not None and not 1 <= supersampling <= 12:
        raise ConfigError(f"supersampling must lie in 1..12, got {supersampling}")
    split_code(split)
    config = {
        "kind": "simulated",
        "preset": preset.model_dump(mode="json"),
        "seed": seed,
        "split": split,
        "noise": preset.noise_kind(noise),
        "engine": engine_name,
        "supersampling": supersampling or preset.supersampling,
        "versions": {"lenssim": lenssim.__version__, **engine(engine_name).versions()},
    }
    size = shard_size or default_shard_size(n, preset)
    return Plan(n=n, shard_size=size, classes=preset.class_names, config=config)


def make_samples(plan: Plan, rows: range) -> Samples:
    """Draw, render and observe the samples `rows` of a plan."""
    config = plan.config
    preset = parse_preset(config["preset"], "the plan's preset")
    numbers = np.arange(rows.start, rows.stop)
    scenes = draw(preset, numbers, seed=config["seed"], split=config["split"])
    renderer = engine(config["engine"])
    images = []
    for start in range(0, len(numbers), _BATCH):
        part = slice(start, start + _BATCH)
        batch = scenes.take(part)
        expected = renderer.render(batch, preset.instrument, supersampling=config["supersampling"])
        images.append(
            observe(
                expected,
                batch,
                preset.instrument,
                config["noise"],
                numbers=numbers[part],
                seed=config["seed"],
                split=config["split"],
            )
        )
    units = {name: scenes.unit(name) for name in scenes.params}
    units |= {name: scenes.unit(name) for table in scenes.perturbers.values() for name in table.columns}
    attributes = {
        "config": canonical_json(config).decode(),
        "config_hash": plan.config_hash,
        "classes": canonical_json(list(plan.classes)).decode(),
        **scene_attributes(scenes),
    }
    return Samples(
        images=np.concatenate(images),
        labels=labels(preset, numbers),
        index=numbers,
        params=scenes.params,
        perturbers=scenes.perturbers,
        units=units,
        attributes=attributes,
        texts={},
    )


def make_shard(folder: str, plan_document: dict[str, Any], shard: int) -> int:
    """The task of one worker: write a shard and then its sidecar; returns the number of samples."""
    plan = Plan.model_validate(plan_document)
    shards = Path(folder) / SHARDS
    record = write_shard(shards / shard_name(shard), make_samples(plan, plan.rows(shard)))
    write_json(_sidecar(shards, shard), {**record, "config_hash": plan.config_hash})
    return record["rows"]


def _sidecar(shards: Path, shard: int) -> Path:
    return (shards / shard_name(shard)).with_suffix(".json")


def read_record(folder: Path, plan: Plan, shard: int) -> ShardRecord | None:
    """The record of a finished shard of this plan, None if it has to be made (again)."""
    path = folder / SHARDS / shard_name(shard)
    try:
        document = read_json(_sidecar(folder / SHARDS, shard))
        if document.pop("config_hash", None) != plan.config_hash:
            return None
        record = ShardRecord.model_validate(document)
        rows = plan.rows(shard)
        fits = (record.rows, record.first, record.last) == (len(rows), rows[0], rows[-1])
        return record if fits and path.stat().st_size == record.bytes else None
    except (DataError, ValueError, OSError):
        return None


@contextmanager
def _open_folder(folder: Path, plan: Plan) -> Iterator[Plan]:
    """Make the folder ready for a plan: refuse another data set's, remove what dead writers left, then sweep again."""
    shards = folder / SHARDS
    try:
        if folder.exists() and not (folder / "plan.json").exists() and any(folder.iterdir()):
            if not {path.name for path in folder.iterdir()} <= {SHARDS} or any(shards.glob("*.h5")):
                raise ConfigError(f"{folder} is not empty and holds no data set of lenssim's; choose another --out")
        shards.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot use {folder} as the data set's folder: {error.strerror}") from None
    sweep(folder)
    sweep(shards)
    yield plan
    sweep(folder)
    sweep(shards)


def generate(
    folder: Path,
    plan: Plan,
    *,
    workers: int = 0,
    runner: Runner | None = None,
    keep_shard_size: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Manifest:
    """Make the data set of `plan` in `folder`, going on where an earlier run of the same plan stopped.

    Returns the manifest. `ConfigError` if the folder holds another data set; `IncompleteError` if a shard could not
    be written (a full disk, say): what is done stays, and the same call continues.
    """
    folder = Path(folder)
    if (folder / "plan.json").exists():
        earlier = read_plan(folder)
        if keep_shard_size:
            plan = plan.model_copy(update={"shard_size": earlier.shard_size})
        plan.continues(earlier, folder)
        if earlier == plan and (folder / MANIFEST).exists():
            manifest = seal(folder, plan)
            report(Progress(plan.n, plan.n, plan.n))
            return manifest
    with _open_folder(folder, plan):
        (folder / MANIFEST).unlink(missing_ok=True)  # its presence means complete
        plan.write(folder)
        todo = [shard for shard in range(plan.shards) if read_record(folder, plan, shard) is None]
        resumed = done = plan.n - sum(len(plan.rows(shard)) for shard in todo)
        report(Progress(done, plan.n, resumed))
        run = runner or local_runner(min(workers, len(todo)))
        arguments = [(str(folder), plan.model_dump(mode="json"), shard) for shard in todo]
        try:
            for rows in run(make_shard, arguments):
                done += rows
                report(Progress(done, plan.n, resumed))
        except DataError as error:
            raise IncompleteError(
                f"{error}\n{done} of {plan.n} samples are done and safe; repeat the command to continue"
            ) from None
        return seal(folder, plan)


def seal(folder: Path, plan: Plan) -> Manifest:
    """Write the manifest over finished shards; `IncompleteError` names those that are missing."""
    records = [read_record(folder, plan, shard) for shard in range(plan.shards)]
    if missing := [shard for shard, record in enumerate(records) if record is None]:
        raise IncompleteError(
            f"{folder}: {len(missing)} of {plan.shards} shards are missing or damaged "
            f"(the first: {shard_name(missing[0])}); repeat the command to make them"
        )
    preset = parse_preset(plan.config["preset"])
    counts = np.bincount(labels(preset, np.arange(plan.n)), minlength=len(plan.classes))
    manifest = Manifest(
        n=plan.n,
        classes=plan.classes,
        config_hash=plan.config_hash,
        fingerprint=fingerprint_sum([record.content for record in records if record]),
        image_shape=(1, preset.instrument.num_pix, preset.instrument.num_pix),
        class_counts=dict(zip(plan.classes, map(int, counts), strict=True)),
        shards=tuple(record for record in records if record),
    )
    manifest.write(folder)
    return manifest
