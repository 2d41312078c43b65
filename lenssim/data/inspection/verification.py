"""Verification: does a data set still hold, byte for byte, what was written?"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lenssim.data.format.digests import damage, holds
from lenssim.data.format.files import read_json
from lenssim.data.format.manifest import (
    MANIFEST,
    PLAN,
    SHARDS,
    Manifest,
    Plan,
    how_to_continue,
    read_plan,
    read_record,
    read_records,
    shard_name,
    sidecars,
)
from lenssim.data.format.reading import LinkError, check_inside, read_samples
from lenssim.data.format.records import ShardRecord
from lenssim.data.format.rules import broken_rules
from lenssim.data.format.shard import Samples, content_sum, fingerprint_sum, image_digests
from lenssim.data.generation.dataset_card import LEAK_AUDIT, REALISM_AUDIT
from lenssim.data.streaming.locations import (
    LocalFolder,
    RemoteFolder,
    is_url,
    open_complete,
    reading,
)
from lenssim.errors import DataError
from lenssim.simulate.bounds import OutOfBoundsError
from lenssim.simulate.scenes import REDSHIFTS, check_redshifts

__all__ = ["Report", "verify"]


_REMAKE = (
    "remove the shards named above and repeat the command that made the data set: "
    "they come back bit for bit"
)
_REWRITE = (
    "remove the damaged file, if there is one, "
    "and repeat the command that made the data set: whole shards stay"
)
_STRAY = "remove the files that no plan names, or keep them elsewhere"
_CONTENT = (
    "the shards hold what was written, so that making them again brings the same; "
    "mend what the data set was made from and make it anew in another folder"
)
_LINKS = "put what the links stand for in their place, or move the whole data set there"


@dataclass
class Report:
    """The result of a verification.

    Attributes:
        shards: Number of shards looked at.
        samples: Number of samples in them.
        resimulated: Number of samples made again.
        fingerprint: The fingerprint in the manifest, empty without one.
        problems: What is wrong, one line each, with the file. Empty if nothing is wrong.
        advice: How to mend the problems, one line for each kind of them.
        incomplete: What is left to do, for a data set that is unfinished; else empty.
    """

    shards: int = 0
    samples: int = 0
    resimulated: int = 0
    fingerprint: str = ""
    problems: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    incomplete: str = ""

    def add(self, advice: str, *problems: str) -> None:
        """Add problems, and how they are mended."""
        self.problems += problems
        if problems and advice and advice not in self.advice:
            self.advice.append(advice)


def verify(folder: Path | str, *, fast: bool = False) -> Report:
    """Check a data set against its manifest.

    Of an unfinished one, the finished shards are checked against their sidecars. The full
    check hashes every file, dataset and sample. It also looks for values that cannot be:
    NaN pixels, labels out of range, sample numbers that repeat. Every problem names the
    shard, and the dataset where possible. What is behind a URL is read there, whatever the
    cache holds.

    Args:
        folder: Folder or URL of the data set.
        fast: Whether to look at presence and sizes only.

    Returns:
        The report. Damage is reported, not raised.
    """
    report = Report()
    if not is_url(folder) and not (Path(folder) / MANIFEST).exists():
        _check_unfinished(Path(folder), report, fast)
        return report
    try:
        location = open_complete(folder)
        plan = read_plan(location.folder)
    except DataError as error:
        report.add(_REWRITE, str(error))
        return report
    _check_records(location, plan, report)
    for shard, record in enumerate(location.manifest.shards):
        _check_shard(location.origin, plan, shard, record, report, fast)
    _check_rises(location.manifest, report)
    if isinstance(location, LocalFolder):  # not every store can list its files
        _check_strays(location.folder, plan, report)
    return report


def _check_unfinished(folder: Path, report: Report, fast: bool) -> None:
    """Check the finished shards of a folder without a manifest.

    The files in the folder bound the work, whatever the plan states.
    """
    try:
        plan = read_plan(folder)
        records = read_records(folder, plan)
    except DataError as error:
        report.add(_REWRITE if (folder / PLAN).exists() else "", str(error))
        return
    for shard in sidecars(folder, plan):
        sidecar = (folder / SHARDS / shard_name(shard)).with_suffix(".json")
        try:
            read_json(sidecar)
        except DataError as error:
            report.add(_REMAKE, f"{SHARDS}/{sidecar.name}: {error}")
    for shard, record in records.items():
        _check_shard(folder, plan, shard, record, report, fast)
    report.incomplete = how_to_continue(folder, plan, len(records))


def _check_records(
    location: LocalFolder | RemoteFolder, plan: Plan, report: Report
) -> None:
    """Check that the manifest fits the plan, and its fingerprint the shards."""
    manifest = location.manifest
    report.fingerprint = manifest.fingerprint
    if (
        plan.config_hash != manifest.config_hash
        or plan.n != manifest.n
        or plan.classes != manifest.classes
    ):
        report.add(_REWRITE, "manifest.json does not belong to plan.json")
    contents = [record.content for record in manifest.shards]
    if fingerprint_sum(contents) != manifest.fingerprint:
        report.add(
            _REWRITE, "manifest.json: the fingerprint is not that of the shards it lists"
        )
    for name in (LEAK_AUDIT, REALISM_AUDIT):
        if (location.origin / name).exists():
            try:
                read_json(location.origin / name)
            except DataError as error:
                report.add("", f"{name}: {error}; lenssim audit makes it anew")


def _check_shard(
    folder: Path, plan: Plan, shard: int, record: ShardRecord, report: Report, fast: bool
) -> None:
    """Check one shard of a data set, here or behind a URL."""
    name = f"{SHARDS}/{shard_name(shard)}"
    report.shards += 1
    report.samples += record.rows
    try:
        with reading(folder):
            check_inside(folder / SHARDS / shard_name(shard), folder)
            damaged, impossible = _check_file(folder, plan, shard, record, fast)
    except LinkError as error:
        report.add(_LINKS, f"{name}: {error}")
    except (DataError, FileNotFoundError) as error:
        report.add(_REMAKE, f"{name}: {error}")
    else:
        report.add(_REMAKE, *(f"{name}: {line}" for line in damaged))
        report.add(_CONTENT, *(f"{name}: {line}" for line in impossible))


def _check_file(
    folder: Path, plan: Plan, shard: int, record: ShardRecord, fast: bool
) -> tuple[list[str], list[str]]:
    """Return what was damaged in a shard, and what was written although it cannot be."""
    path = folder / SHARDS / shard_name(shard)
    if not path.is_file():
        return ["the file is missing"], []
    size = path.stat().st_size
    damaged = []
    if size != record.bytes and fast:
        damaged.append(f"{size} bytes instead of {record.bytes} (truncated or overwritten)")
    elif size == record.bytes and read_record(folder, plan, shard) != record:
        damaged.append(f"its sidecar {path.stem}.json is damaged or belongs to another run")
    if fast:
        return damaged, []
    data = path.read_bytes()
    if not holds(data, record):
        return [*damaged, *damage(data, record)], []
    return damaged, _impossible(read_samples(path, data), plan, shard, record)


def _impossible(samples: Samples, plan: Plan, shard: int, record: ShardRecord) -> list[str]:
    """Return what is wrong in a shard whose bytes are those that were written."""
    lines = broken_rules(samples, plan, shard)
    if samples.attributes.get("config_hash") != plan.config_hash:
        lines.append(
            "its config_hash is not that of the plan: it belongs to another data set"
        )
    shape = (record.rows, *record.image_shape)
    if samples.images.shape != shape:
        lines.append("dataset images: the shape is not the one that its record states")
    if lines:
        return lines
    counts = np.bincount(samples.labels, minlength=len(plan.classes)).tolist()
    if counts != list(record.class_counts):
        lines.append("dataset labels: the classes are not as many as its record states")
    lines += _impossible_redshifts(samples)
    stored = memoryview(np.ascontiguousarray(samples.images)).cast("B")
    content = content_sum(samples, image_digests(stored, len(samples)))
    if f"{content:064x}" != record.content:
        lines.append(
            "its samples are not those that its record and the fingerprint stand for"
        )
    return lines


def _check_rises(manifest: Manifest, report: Report) -> None:
    """Check that sample numbers rise from shard to shard, so that none comes twice."""
    next_number = 0
    for shard, record in enumerate(manifest.shards):
        if record.first < next_number:
            report.add(
                _REMAKE,
                f"{SHARDS}/{shard_name(shard)}: sample number {record.first} comes twice",
            )
        next_number = record.last + 1


def _check_strays(folder: Path, plan: Plan, report: Report) -> None:
    """Report files that are neither a shard nor a sidecar of the plan."""
    expected = {shard_name(shard) for shard in range(plan.shards)}
    expected |= {name.replace(".h5", ".json") for name in expected}
    strays = sorted(
        path.name for path in (folder / SHARDS).iterdir() if path.name not in expected
    )
    report.add(_STRAY, *(f"{SHARDS}/{name}: a file that no plan names" for name in strays))


def _impossible_redshifts(samples: Samples) -> list[str]:
    """Return a line if a source lies in front of its lens, as earlier releases let it."""
    redshifts = {name: samples.params[name] for name in REDSHIFTS if name in samples.params}
    if "z_lens" not in redshifts:
        return []
    try:
        check_redshifts(redshifts)
    except OutOfBoundsError as error:
        return [
            f"dataset params: sample {samples.index[error.row or 0]}: {error.complaint}"
        ]
    return []
