"""The shard: an HDF5 file of fixed-shape datasets (docs/data-format.md)."""

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
_MAX_ATTRIBUTE_BYTES = 60_000  # HDF5 allows 64 KiB; a longer text becomes a dataset


@dataclass(frozen=True)
class Samples:
    """The content of one shard: n observed systems.

    Attributes:
        images: Images (n, C, H, W) as stored: float32 without `scale`, or float16 or int16 with it.
        labels: Labels int64 (n,).
        index: Sample numbers int64 (n,).
        params: Columns float64 (n,) by name.
        perturbers: Tables of perturbers by kind.
        units: Units of the columns by name.
        attributes: Root attributes of the file, which say how the samples were made.
        texts: Columns of strings, such as the names of imported files.
        scale: Factors float32 (n, C) by which stored pixels are multiplied; None for float32.
        compress: Whether the images are compressed.
        truth: Maps float32 (n, C, H, W) by name.
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
        """The names of the classes, by label."""
        return tuple(json.loads(self.attributes["classes"]))

    @property
    def pixels(self) -> np.ndarray:
        """Images float32 (n, C, H, W) in e-/s, whatever the storage."""
        return decode(self.images, self.scale)

    def stored_as(self, storage: str, compress: bool) -> "Samples":
        """Return these samples in another storage, with the same attributes."""
        images, scale = encode(self.pixels, self.index, storage)
        return replace(self, images=images, scale=scale, compress=compress)

    def packed(self, compress: bool) -> "Samples":
        """Return these samples in the same storage, compressed or not."""
        return replace(self, compress=compress)

    def datasets(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield path and array of every dataset, in the order of storage."""
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
            length = max(map(len, encoded), default=1) or 1
            yield f"texts/{name}", np.array(encoded, dtype=f"S{length}")

    def scenes(self) -> Scenes:
        """Return the scenes of the images; `DataError` for imported images."""
        if "components" not in self.attributes:
            raise DataError(
                "these samples were imported: the scenes behind them are not known",
                code="no-scenes",
            )
        components = tuple(
            Component(*parts) for parts in json.loads(self.attributes["components"])
        )
        cosmology = Cosmology.model_validate_json(self.attributes["cosmology"])
        return Scenes(components, self.params, self.perturbers, cosmology, self.units)


def scene_attributes(scenes: Scenes) -> dict[str, str]:
    """Return the root attributes from which `Samples.scenes` rebuilds the scenes."""
    components = [[c.role, c.profile, c.prefix] for c in scenes.components]
    return {
        "components": json.dumps(components),
        "cosmology": scenes.cosmology.model_dump_json(),
    }


def pack(samples: Samples) -> tuple[bytes, dict[str, list[tuple[int, int]]]]:
    """Build the file of a shard in memory.

    Equal samples give equal bytes: the file holds no dates and no host names.

    Args:
        samples: The samples.

    Returns:
        The bytes of the file, and for each dataset where it lies in them, as pieces (offset,
        number of bytes).
    """
    with h5py.File(uuid.uuid4().hex, "w", driver="core", backing_store=False) as file:
        file.attrs["schema"] = SCHEMA
        for name, value in sorted(samples.attributes.items()):
            _write_attribute(file, name, value)
        for name, array in samples.datasets():
            # HDF5 writes the chunks of a dataset when it closes it. The variable `dataset` keeps
            # each one open until the next one exists. A change of that would reorder the file.
            dataset = _create_dataset(file, name, array, samples.compress)
            stem = name.rpartition("/")[2]
            if samples.units.get(stem):
                dataset.attrs["units"] = samples.units[stem]
        file.flush()
        pieces = {name: _pieces(file[name]) for name, _ in samples.datasets()}
        return file.id.get_file_image(), pieces


def _write_attribute(file: h5py.File, name: str, value: Any) -> None:
    """Write a root attribute; a long text becomes a dataset."""
    if isinstance(value, str) and len(value.encode()) > _MAX_ATTRIBUTE_BYTES:
        data = np.void(value.encode())
        file.create_dataset(f"attributes/{name}", data=data, track_times=False)
    else:
        file.attrs[name] = value


def _create_dataset(
    file: h5py.File, name: str, array: np.ndarray, compress: bool
) -> h5py.Dataset:
    """Write a dataset; with `compress`, images become compressed chunks."""
    layout: dict[str, Any] = {}
    if name == "images" and compress:
        chunks = (min(CHUNK_ROWS, len(array)), *array.shape[1:])
        layout = {"chunks": chunks, **compression()}
    return file.create_dataset(name, data=array, track_times=False, **layout)


def _pieces(dataset: h5py.Dataset) -> list[tuple[int, int]]:
    """Return where a dataset lies in its file, as pieces (offset, number of bytes)."""
    if dataset.chunks is None:
        return [(dataset.id.get_offset() or 0, dataset.id.get_storage_size())]
    chunks = (dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks()))
    return [(chunk.byte_offset, chunk.size) for chunk in chunks]


def image_digests(data: bytes | memoryview, rows: int) -> list[bytes]:
    """Cut `data` into `rows` images of equal length; return the sha256 of each."""
    size = len(data) // rows
    images = (data[row * size : (row + 1) * size] for row in range(rows))
    return [hashlib.sha256(image).digest() for image in images]


def digest_at(data: bytes, pieces: list[tuple[int, int]], rows_of_images: int = 0) -> str:
    """Return the digest of a dataset's bytes in a file.

    Args:
        data: The bytes of the file.
        pieces: Where the dataset lies, as pieces (offset, number of bytes).
        rows_of_images: The number of images, if the dataset is uncompressed images; else 0.

    Returns:
        64 hex digits, the sha256 of the bytes. For images that lie in one piece it is the
        sha256 of the digests of the single images, one after another.
    """
    view = memoryview(data)
    parts = [view[offset : offset + size] for offset, size in pieces]
    if rows_of_images and len(parts) == 1:
        digests = image_digests(parts[0], rows_of_images)
        return hashlib.sha256(b"".join(digests)).hexdigest()
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def write_shard(path: Path, samples: Samples) -> dict[str, Any]:
    """Write a shard atomically.

    Args:
        path: The shard's file.
        samples: Its content.

    Returns:
        The fields of its `ShardRecord`: shape, pieces and hashes.

    Raises:
        StorageError: The file cannot be written.
    """
    data, pieces = pack(samples)
    write(path, data)
    stored = np.ascontiguousarray(samples.images)
    digests = image_digests(memoryview(stored).cast("B"), len(samples))
    classes = len(samples.class_names)
    return {
        "rows": len(samples),
        "first": int(samples.index[0]),
        "last": int(samples.index[-1]),
        "image_shape": list(samples.images.shape[1:]),
        "class_counts": np.bincount(samples.labels, minlength=classes).tolist(),
        "bytes": len(data),
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "content": f"{content_sum(samples, digests):064x}",
        "datasets": _dataset_records(samples, data, pieces, digests),
    }


def _dataset_records(
    samples: Samples,
    data: bytes,
    pieces: dict[str, list[tuple[int, int]]],
    digests: list[bytes],
) -> dict[str, dict[str, Any]]:
    """Return offset, number of bytes and hash of each dataset in a file."""
    records = {}
    for name, parts in sorted(pieces.items()):
        record: dict[str, Any] = {
            "offset": parts[0][0],
            "bytes": sum(size for _, size in parts),
        }
        if name == "images" and not samples.compress:
            record["sha256"] = hashlib.sha256(b"".join(digests)).hexdigest()
        else:
            record["sha256"] = digest_at(data, parts)
        if name == "images" and samples.compress:
            record["chunks"] = parts
        records[name] = record
    return records


def content_sum(samples: Samples, digests: list[bytes]) -> int:
    """Return the sum modulo 2^256 of the sha256 of every sample.

    It is a sum over samples rather than a hash over the shard, so that the fingerprint of a
    data set does not depend on how it is cut into shards. It is a multiset hash after
    Clarke et al. (2003). It detects damage, but a forger could evade it.

    Args:
        samples: The samples.
        digests: The digests of their images, see `image_digests`.

    Returns:
        The sum.
    """
    names = sorted(samples.params)
    params = np.empty((len(samples), 0))
    if names:
        params = np.stack([samples.params[name] for name in names], axis=1)
    identities = np.stack([samples.index, samples.labels], axis=1).astype("<i8")
    kinds = sorted(samples.perturbers)
    tables = [_table_rows(samples.perturbers[kind]) for kind in kinds]
    all_names = "\0".join([*names, *kinds]).encode()
    total = 0
    for i, digest in enumerate(digests):
        hasher = hashlib.sha256(all_names)
        hasher.update(identities[i])
        hasher.update(digest)
        if samples.scale is not None:
            hasher.update(np.ascontiguousarray(samples.scale[i], "<f4"))
        for name, maps in sorted(samples.truth.items()):
            hasher.update(name.encode() + np.ascontiguousarray(maps[i], "<f4").tobytes())
        hasher.update(np.ascontiguousarray(params[i], "<f8"))
        for table in tables:
            hasher.update(table[i])
        for _, texts in sorted(samples.texts.items()):
            hasher.update(texts[i].encode() + b"\0")
        total += int.from_bytes(hasher.digest(), "big")
    return total % _MODULUS


def _table_rows(table: Perturbers) -> list[np.ndarray]:
    """Cut a table of perturbers into the rows (k, columns) of each system."""
    names = sorted(table.columns)
    values = np.stack([table.columns[name] for name in names], axis=1)
    return np.split(values, table.offset[1:-1])


def fingerprint_sum(contents: list[str]) -> str:
    """Return the fingerprint of a data set from the content sums of its shards.

    Args:
        contents: The content sum of each shard, as 64 hex digits.

    Returns:
        64 hex digits.
    """
    total = sum(int(content, 16) for content in contents)
    return f"{total % _MODULUS:064x}"
