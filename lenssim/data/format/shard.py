"""The shard: one HDF5 file of fixed-shape datasets that plain h5py opens (docs/data-format.md)."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lenssim.data.format.files import write
from lenssim.data.format.storage import CHUNK_ROWS, compression, decode, encode
from lenssim.errors import DataError
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.scenes import Component, Perturbers, Scenes

__all__ = [
    "SCHEMA",
    "Samples",
    "content_sum",
    "digest_at",
    "fingerprint_sum",
    "image_digests",
    "pack",
    "scene_attributes",
    "write_shard",
]

SCHEMA = "lenssim-shard/1"
_MODULUS = 1 << 256
_LONGEST_ATTRIBUTE = (
    60_000  # bytes; HDF5 holds attributes of up to 64 KiB, longer texts are datasets
)


@dataclass(frozen=True)
class Samples:
    """What one shard holds: n observed systems.

    `images` (n, C, H, W) as stored: float32, or with `scale` float32 (n, C) float16 or int16; `pixels` are theirs in
    e-/s whatever the storage. `labels` int64 (n,), `index` int64 (n,) the sample numbers, `params` float64
    columns (n,), `perturbers` ragged tables, `texts` optional columns of strings (provenance of imported files),
    `units` of the columns, `attributes` the provenance of the whole, `truth` pictures float32 (n, C, H, W) by name.
    """

    images: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    params: dict[str, np.ndarray]
    perturbers: dict[str, Perturbers]
    units: dict[str, str]
    attributes: dict[str, Any]
    texts: dict[str, list[str]]
    scale: np.ndarray | None = None
    compress: bool = False
    truth: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return tuple(json.loads(self.attributes["classes"]))

    @property
    def pixels(self) -> np.ndarray:
        """Images float32 (n, C, H, W)."""
        return decode(self.images, self.scale)

    def stored_as(self, storage: str, compress: bool) -> "Samples":
        """These samples in another storage, their attributes unchanged."""
        images, scale = encode(self.pixels, self.index, storage)
        return replace(self, images=images, scale=scale, compress=compress)

    def packed(self, compress: bool) -> "Samples":
        """These samples in the same storage, compressed or not."""
        return replace(self, compress=compress)

    def datasets(self) -> Iterator[tuple[str, np.ndarray]]:
        """(path in the file, array) of everything that is stored, in the order of storage."""
        yield "images", self.images
        yield "labels", self.labels
        yield "index", self.index
        if self.scale is not None:
            yield "scale", self.scale
        yield from sorted(self.truth.items())
        for name, column in sorted(self.params.items()):
            yield f"params/{name}", column
        for kind, table in sorted(self.perturbers.items()):
            yield f"perturbers/{kind}/offset", table.offset
            for name, column in sorted(table.columns.items()):
                yield f"perturbers/{kind}/{name}", column
        for name, texts in sorted(self.texts.items()):
            encoded = [text.encode() for text in texts]
            yield (
                f"texts/{name}",
                np.array(encoded, dtype=f"S{max(map(len, encoded), default=1) or 1}"),
            )

    def scenes(self) -> Scenes:
        """The scenes the images were rendered from; `DataError` where a shard has none (imported data)."""
        if "components" not in self.attributes:
            raise DataError(
                "these samples were imported: the scenes behind them are not known"
            )
        components = tuple(
            Component(*parts) for parts in json.loads(self.attributes["components"])
        )
        cosmology = Cosmology.model_validate_json(self.attributes["cosmology"])
        return Scenes(components, self.params, self.perturbers, cosmology, self.units)


def scene_attributes(scenes: Scenes) -> dict[str, str]:
    """Root attributes from which `Samples.scenes` rebuilds the scenes."""
    components = [[c.role, c.profile, c.prefix] for c in scenes.components]
    return {
        "components": json.dumps(components),
        "cosmology": scenes.cosmology.model_dump_json(),
    }


def pack(samples: Samples) -> tuple[bytes, dict[str, list[tuple[int, int]]]]:
    """The bytes of the shard's file, built in memory, and where in them each dataset lies: [(offset, bytes), ...].

    Equal samples give equal bytes: no dates, no host names.
    """
    places = {}
    with h5py.File(uuid.uuid4().hex, "w", driver="core", backing_store=False) as file:
        file.attrs["schema"] = SCHEMA
        for name, value in sorted(samples.attributes.items()):
            if isinstance(value, str) and len(value.encode()) > _LONGEST_ATTRIBUTE:
                file.create_dataset(
                    f"attributes/{name}", data=np.void(value.encode()), track_times=False
                )
            else:
                file.attrs[name] = value
        for name, array in samples.datasets():
            how = {}
            if name == "images" and samples.compress:
                how = {
                    "chunks": (min(CHUNK_ROWS, len(array)), *array.shape[1:]),
                    **compression(),
                }
            dataset = file.create_dataset(name, data=array, track_times=False, **how)
            stem = name.rpartition("/")[2]
            if samples.units.get(stem):
                dataset.attrs["units"] = samples.units[stem]
        file.flush()
        for name, _ in samples.datasets():
            places[name] = _places(file[name])
        return file.id.get_file_image(), places


def _places(dataset: h5py.Dataset) -> list[tuple[int, int]]:
    if dataset.chunks is None:
        return [(dataset.id.get_offset() or 0, dataset.id.get_storage_size())]
    chunks = (dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks()))
    return [(chunk.byte_offset, chunk.size) for chunk in chunks]


def image_digests(data: bytes | memoryview, rows: int) -> list[bytes]:
    """sha256 of each of `rows` equally long images that lie one after another in `data`."""
    size = len(data) // rows
    return [hashlib.sha256(data[i * size : (i + 1) * size]).digest() for i in range(rows)]


def digest_at(data: bytes, places: list[tuple[int, int]], rows_of_images: int = 0) -> str:
    """Hex digest of a dataset's bytes in a file: sha256; for images in one piece that of the images' own digests."""
    view = memoryview(data)
    parts = [view[offset : offset + size] for offset, size in places]
    if rows_of_images and len(parts) == 1:
        return hashlib.sha256(b"".join(image_digests(parts[0], rows_of_images))).hexdigest()
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def write_shard(path: Path, samples: Samples) -> dict[str, Any]:
    """Write a shard atomically; returns what is recorded of it (`ShardRecord`): its shape, places and hashes."""
    data, places = pack(samples)
    write(path, data)
    stored = np.ascontiguousarray(samples.images)
    digests = image_digests(memoryview(stored).cast("B"), len(samples))
    hashes = {
        name: digest_at(data, place) for name, place in places.items() if name != "images"
    }
    if samples.compress:
        hashes["images"] = digest_at(data, places["images"])
    else:
        hashes["images"] = hashlib.sha256(b"".join(digests)).hexdigest()
    return {
        "rows": len(samples),
        "first": int(samples.index[0]),
        "last": int(samples.index[-1]),
        "image_shape": list(samples.images.shape[1:]),
        "class_counts": np.bincount(
            samples.labels, minlength=len(samples.class_names)
        ).tolist(),
        "bytes": len(data),
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "content": f"{content_sum(samples, digests):064x}",
        "datasets": {
            name: {
                "offset": place[0][0],
                "bytes": sum(size for _, size in place),
                "sha256": hashes[name],
                **({"chunks": place} if name == "images" and samples.compress else {}),
            }
            for name, place in sorted(places.items())
        },
    }


def content_sum(samples: Samples, digests: list[bytes]) -> int:
    """Sum modulo 2^256 of the sha256 of every sample, given the `digests` of their images.

    A sum over samples rather than a hash over the shard, so that the fingerprint of a data set does not depend on
    how it is cut into shards (a multiset hash after Clarke et al. 2003; against damage, not against forgers).
    """
    names = sorted(samples.params)
    params = (
        np.stack([samples.params[name] for name in names], axis=1)
        if names
        else np.empty((len(samples), 0))
    )
    head = np.stack([samples.index, samples.labels], axis=1).astype("<i8")
    tables = [
        np.stack([t.columns[c] for c in sorted(t.columns)], axis=1)
        for _, t in sorted(samples.perturbers.items())
    ]
    offsets = [table.offset for _, table in sorted(samples.perturbers.items())]
    preamble = "\0".join([*names, *sorted(samples.perturbers)]).encode()
    total = 0
    for i, digest in enumerate(digests):
        hasher = hashlib.sha256(preamble)
        hasher.update(head[i])
        hasher.update(digest)
        if samples.scale is not None:
            hasher.update(np.ascontiguousarray(samples.scale[i], "<f4"))
        for name, pictures in sorted(samples.truth.items()):
            hasher.update(
                name.encode() + np.ascontiguousarray(pictures[i], "<f4").tobytes()
            )
        hasher.update(np.ascontiguousarray(params[i], "<f8"))
        for offset, table in zip(offsets, tables, strict=True):
            hasher.update(table[offset[i] : offset[i + 1]])
        for texts in (samples.texts[name] for name in sorted(samples.texts)):
            hasher.update(texts[i].encode() + b"\0")
        total += int.from_bytes(hasher.digest(), "big")
    return total % _MODULUS


def fingerprint_sum(contents: list[str]) -> str:
    """The fingerprint of a data set, 64 hex digits, from the content sums of its shards."""
    return f"{sum(int(content, 16) for content in contents) % _MODULUS:064x}"
