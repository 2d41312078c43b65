"""Verification: does a data set still hold, byte for byte, what was written?"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lenssim.data.card import LEAK_AUDIT
from lenssim.data.files import read_json
from lenssim.data.manifest import SHARDS, Plan, ShardRecord, read_plan, read_record, shard_name
from lenssim.data.places import Folder, complete, reading
from lenssim.data.reading import check_inside, read_samples
from lenssim.data.shards import Samples, content_sum, digest_at, fingerprint_sum, image_digests
from lenssim.errors import DataError
from lenssim.simulate.bounds import OutOfBoundsError
from lenssim.simulate.scenes import REDSHIFTS, check_redshifts

__all__ = ["Report", "verify"]


@dataclass
class Report:
    """What a verification looked at and what it found; empty `problems` means that all is well."""

    shards: int = 0
    samples: int = 0
    resimulated: int = 0
    fingerprint: str = ""
    problems: list[str] = field(default_factory=list)


def verify(folder: Path | str, *, fast: bool = False) -> Report:
    """Check a data set against its manifest. `fast` looks at presence and sizes only.

    The full check hashes every file, dataset and sample, and looks for values that cannot be: NaN pixels, labels out
    of range, sample numbers that repeat. Every problem names the shard, and the dataset where one can be named. What is
    behind a URL is read there, whatever the cache holds.
    """
    report = Report()
    try:
        place = complete(folder)
        plan, manifest, origin = read_plan(place.folder), place.manifest, place.origin
    except DataError as error:
        report.problems.append(str(error))
        return report
    report.fingerprint = manifest.fingerprint
    if plan.config_hash != manifest.config_hash or plan.n != manifest.n:
        report.problems.append("manifest.json does not belong to plan.json")
    if fingerprint_sum([record.content for record in manifest.shards]) != manifest.fingerprint:
        report.problems.append("manifest.json: the fingerprint is not that of the shards it lists")
    if (origin / LEAK_AUDIT).exists():
        try:
            read_json(origin / LEAK_AUDIT)
        except DataError as error:
            report.problems.append(f"{LEAK_AUDIT}: {error}; lenssim audit makes it anew")
    seen = 0  # the shards' sample numbers rise, so that a number twice shows as one that does not
    for shard, record in enumerate(manifest.shards):
        try:
            with reading(origin):
                report.problems += _check_shard(origin, plan, shard, record, fast)
        except (DataError, FileNotFoundError) as error:
            report.problems.append(f"{SHARDS}/{shard_name(shard)}: {error}")
        if record.first < seen:
            report.problems.append(f"{SHARDS}/{shard_name(shard)}: sample number {record.first} comes twice")
        seen = record.last + 1
        report.shards += 1
        report.samples += record.rows
    if not isinstance(place, Folder):
        return report  # not every store can list what it holds
    expected = {shard_name(shard) for shard in range(plan.shards)}
    expected |= {name.replace(".h5", ".json") for name in expected}
    strays = sorted(path.name for path in (place.folder / SHARDS).iterdir() if path.name not in expected)
    report.problems += [f"{SHARDS}/{name}: a file that no plan names" for name in strays]
    return report


def _check_shard(folder: Path, plan: Plan, shard: int, record: ShardRecord, fast: bool) -> list[str]:
    path, name = folder / SHARDS / shard_name(shard), f"{SHARDS}/{shard_name(shard)}"
    check_inside(path)
    if not path.is_file():
        return [f"{name}: the file is missing"]
    size = path.stat().st_size
    problems = []
    if size != record.bytes:
        problems.append(f"{name}: {size} bytes instead of {record.bytes} (truncated or overwritten)")
    elif read_record(folder, plan, shard) != record:
        problems.append(f"{name}: its sidecar {path.stem}.json is damaged or belongs to another run")
    if fast:
        return problems
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() == record.file_sha256:
        samples = read_samples(path, data)
        return [*problems, *(f"{name}: {line}" for line in _impossible(samples, plan, shard, record))]
    lost = [
        f"{name}: dataset {dataset} does not hold what was written (sha256 differs)"
        for dataset, place in record.datasets.items()
        if digest_at(data, place.places, record.rows if dataset == "images" and place.chunks is None else 0)
        != place.sha256
    ]
    structure = f"{name}: the HDF5 structure (attributes or headers) does not hold what was written"
    return problems + (lost or [structure])


def _impossible(samples: Samples, plan: Plan, shard: int, record: ShardRecord) -> list[str]:
    """What is wrong in a shard whose bytes are those that were written."""
    lines = []
    if bad := int((~np.isfinite(samples.pixels).all(axis=(1, 2, 3))).sum()):
        lines.append(f"dataset images: {bad} images hold NaN or infinite pixels")
    for name, pictures in samples.truth.items():
        if bad := int((~np.isfinite(pictures).all(axis=(1, 2, 3))).sum()):
            lines.append(f"dataset {name}: {bad} pictures hold NaN or infinite pixels")
    if asked := set(plan.config.get("truth", ())) ^ set(samples.truth):
        lines.append(f"dataset {', '.join(sorted(asked))}: the plan and the shard do not hold the same pictures")
    if samples.scale is not None and not (samples.scale > 0).all():
        lines.append("dataset scale: a scale is not positive")
    if not np.array_equal(samples.index, np.array(plan.rows(shard))):
        lines.append("dataset index: the sample numbers are not those of this shard, each once")
    if ((samples.labels < 0) | (samples.labels >= len(plan.classes))).any():
        lines.append(f"dataset labels: labels outside 0..{len(plan.classes) - 1}")
    elif np.bincount(samples.labels, minlength=len(plan.classes)).tolist() != list(record.class_counts):
        lines.append("dataset labels: the classes are not as many as its record states")
    lines += _impossible_redshifts(samples)
    lines += [f"dataset params/{name}: infinite values" for name, c in samples.params.items() if np.isinf(c).any()]
    for kind, table in samples.perturbers.items():
        bad_columns = [name for name, column in table.columns.items() if not np.isfinite(column).all()]
        lines += [f"dataset perturbers/{kind}/{name}: NaN or infinite values" for name in bad_columns]
    stored = memoryview(np.ascontiguousarray(samples.images)).cast("B")
    if not lines and f"{content_sum(samples, image_digests(stored, len(samples))):064x}" != record.content:
        lines.append("its samples are not those that its record and the fingerprint stand for")
    return lines


def _impossible_redshifts(samples: Samples) -> list[str]:
    """Whether a source lies in front of its lens, as earlier releases let it."""
    redshifts = {name: samples.params[name] for name in REDSHIFTS if name in samples.params}
    if "z_lens" not in redshifts:
        return []
    try:
        check_redshifts(redshifts)
    except OutOfBoundsError as error:
        return [f"dataset params: sample {samples.index[error.row or 0]}: {error.complaint}"]
    return []
