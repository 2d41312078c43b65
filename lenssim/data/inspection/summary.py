"""The summary of a data set: what it is and how much of it exists, from its records alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenssim.data.format.manifest import (
    MANIFEST,
    Manifest,
    Plan,
    read_manifest,
    read_plan,
    read_records,
)
from lenssim.data.format.origin import Origin
from lenssim.data.format.records import ShardRecord
from lenssim.data.format.spec import maps_of
from lenssim.data.generation.dataset_card import LEAK_AUDIT, REALISM_AUDIT, known_verdict
from lenssim.data.streaming.locations import is_url, open_complete

__all__ = ["Summary", "summarise"]

_PARAMS = "params/"  # before the names of columns in shards


@dataclass(frozen=True)
class Summary:
    """What a data set is, and how much of it exists.

    Attributes:
        folder: Folder or URL.
        plan: Classes, numbers of images and shards, and the config.
        manifest: Shape, class counts and fingerprint; None while the set is incomplete.
        images: Number of images that exist.
        shards: Number of shards that exist.
        bytes: Size of these shards.
        parameters: Names of the columns of true parameters.
        leak_audit: Verdict of the leak audit; None if there is none.
        realism_audit: Verdict of the comparison with real images; None if there is none.
    """

    folder: str
    plan: Plan
    manifest: Manifest | None
    images: int
    shards: int
    bytes: int
    parameters: tuple[str, ...]
    leak_audit: str | None
    realism_audit: str | None

    @property
    def complete(self) -> bool:
        """Whether all shards exist and the manifest is written."""
        return self.manifest is not None

    @property
    def origin(self) -> Origin:
        """How the images were made."""
        return Origin.of(self.plan.config)

    @property
    def fingerprint(self) -> str | None:
        """64 hex digits over all contents; None while the set is incomplete."""
        if self.manifest is None:
            return None
        return self.manifest.fingerprint

    def document(self) -> dict[str, Any]:
        """Return the summary as plain values, ready for `json.dumps`."""
        manifest = self.manifest
        origin = self.origin
        classes: Any = list(self.plan.classes)
        shape = None
        if manifest is not None:
            classes = manifest.class_counts
            shape = list(manifest.image_shape)
        return {
            "folder": self.folder,
            "complete": self.complete,
            "images": f"{self.images} of {self.plan.n}",
            "classes": classes,
            "image_shape": shape,
            "bands": list(origin.bands) or None,
            "pixel_scale": origin.pixel_scale,
            "maps": list(maps_of(self.plan.config)) or None,
            "parameters": list(self.parameters) or None,
            "made_by": origin.made_by,
            **origin.request(),
            "shards": f"{self.shards} of {self.plan.shards}",
            "bytes": self.bytes,
            "versions": dict(origin.versions),
            "config_hash": self.plan.config_hash,
            "fingerprint": self.fingerprint,
            "leak_audit": self.leak_audit,
            "realism_audit": self.realism_audit,
        }


def summarise(folder: Path | str) -> Summary:
    """Summarise a data set, whose shards are not read.

    Args:
        folder: Folder of the data set, complete or not; or the URL of a complete one.

    Returns:
        The summary.

    Raises:
        DataError: There is no data set.
    """
    if is_url(folder):
        location = open_complete(folder)
        manifest = location.manifest
        return _summary(folder, location.folder, manifest, manifest.shards)
    local_folder = Path(folder)
    plan = read_plan(local_folder)
    is_complete = (local_folder / MANIFEST).exists()
    return _summary(
        folder,
        local_folder,
        read_manifest(local_folder) if is_complete else None,
        read_records(local_folder, plan).values(),
    )


def _summary(
    place: Path | str,
    folder: Path,
    manifest: Manifest | None,
    records: Iterable[ShardRecord],
) -> Summary:
    """Add up the records of shards; the plan and the audits lie in `folder`."""
    shards = list(records)
    verdicts: dict[str, str | None] = dict.fromkeys((LEAK_AUDIT, REALISM_AUDIT))
    if manifest is not None:
        for name in verdicts:
            verdicts[name] = known_verdict(folder, manifest.fingerprint, name)
    datasets = list(shards[0].datasets) if shards else []
    columns = [name for name in datasets if name.startswith(_PARAMS)]
    return Summary(
        folder=str(place),
        plan=read_plan(folder),
        manifest=manifest,
        images=sum(record.rows for record in shards),
        shards=len(shards),
        bytes=sum(record.bytes for record in shards),
        parameters=tuple(name.removeprefix(_PARAMS) for name in columns),
        leak_audit=verdicts[LEAK_AUDIT],
        realism_audit=verdicts[REALISM_AUDIT],
    )
