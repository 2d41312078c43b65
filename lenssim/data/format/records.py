"""What a data set records of its shards: where their bytes lie, and their hashes."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, model_serializer, model_validator

from lenssim.record import Record

__all__ = ["Audit", "DatasetRecord", "Sha256", "ShardRecord", "Side"]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Side = Annotated[int, Field(ge=1, le=1 << 15)]


class DatasetRecord(Record):
    """Where a dataset's bytes lie in its file, and their hash.

    The hash of images in one piece is that of the images' own hashes. Compressed images lie in `chunks`, (offset,
    bytes) each, and their hash is that of the chunks one after another.
    """

    offset: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: Sha256
    chunks: tuple[tuple[int, int], ...] | None = None

    @model_serializer(mode="wrap")
    def _without_absent_chunks(self, write: Any) -> dict[str, Any]:
        return {
            name: value
            for name, value in write(self).items()
            if name != "chunks" or value is not None
        }

    @property
    def places(self) -> list[tuple[int, int]]:
        """(offset, bytes) of its pieces."""
        return [(self.offset, self.bytes)] if self.chunks is None else list(self.chunks)


class Audit(Record):
    """How far the worst pixel of re-rendered samples is from the reference engine, by image peak and by noise rms."""

    samples: int = Field(ge=1)
    peak: float = Field(ge=0)
    noise: float = Field(ge=0)

    @staticmethod
    def worst(audits: "Iterable[Audit | None]") -> "Audit | None":
        """All audits as one, None if there was none."""
        reference_checks = [audit for audit in audits if audit is not None]
        if not reference_checks:
            return None
        return Audit(
            samples=sum(audit.samples for audit in reference_checks),
            peak=max(audit.peak for audit in reference_checks),
            noise=max(audit.noise for audit in reference_checks),
        )


class ShardRecord(Record):
    """What is known of one shard once it is written: the content of its sidecar.

    `file_sha256` is the hash of its file. Shards whose images lie in one piece have
    `frame_sha256` instead: that of all bytes but the images, whose own hash is in
    `datasets`. So each byte is hashed once.
    """

    rows: int = Field(ge=1)
    first: int = Field(ge=0)
    last: int = Field(ge=0)
    image_shape: tuple[Side, Side, Side]
    class_counts: tuple[int, ...]
    bytes: int = Field(ge=1)
    file_sha256: Sha256 | None = None
    frame_sha256: Sha256 | None = None
    content: Sha256
    datasets: dict[str, DatasetRecord]
    audit: Audit | None = None

    @model_validator(mode="after")
    def _covers_every_byte(self) -> "ShardRecord":
        if (self.file_sha256 is None) == (self.frame_sha256 is None):
            raise ValueError("a record has one of file_sha256 and frame_sha256")
        images = self.datasets.get("images")
        if self.frame_sha256 and (images is None or images.chunks is not None):
            raise ValueError("frame_sha256 needs images in one piece")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_hash(self, write: Any) -> dict[str, Any]:
        hashes = ("file_sha256", "frame_sha256")
        return {
            name: value
            for name, value in write(self).items()
            if name not in hashes or value is not None
        }
