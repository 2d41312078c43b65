"""The shard: one HDF5 file of fixed-shape datasets that plain h5py opens (docs/data-format.md)."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lenssim.data.files import write
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
    "open_shard",
    "pack",
    "read_samples",
    "scene_attributes",
    "write_shard",
]

SCHEMA = "lenssim-shard/1"
_MODULUS = 1 << 256
_LONGEST_ATTRIBUTE = 60_000  # bytes; HDF5 holds attributes of up to 64 KiB, longer texts are datasets


@dataclass(frozen=True)
class Samples:
    """What one shard holds: n observed systems.

    `images` float32 (n, C, H, W), `labels` int64 (n,), `index` int64 (n,) the sample numbers, `params` float64
    columns (n,), `perturbers` ragged tables, `texts` optional columns of strings (provenance of imported files),
    `units` of the columns, `attributes` the provenance of the whole.
    """

    images: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    params: dict[str, np.ndarray]
    perturbers: dict[str, Perturbers]
    units: dict[str, str]
    attributes: dict[str, Any]
    texts: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return tuple(json.loads(self.attributes["classes"]))

    def datasets(self) -> Iterator[tuple[str, np.ndarray]]:
        """(path in the file, array) of everything that is stored, in the order of storage."""
        yield "images", self.images
        yield "labels", self.labels
        yield "index", self.index
        for name, column in sorted(self.params.items()):
            yield f"params/{name}", column
        for kind, table in sorted(self.perturbers.items()):
            yield f"perturbers/{kind}/offset", table.offset
            for name, column in sorted(table.columns.items()):
                yield f"perturbers/{kind}/{name}", column
        for name, texts in sorted(self.texts.items()):
            encoded = [text.encode() for text in texts]
            yield f"texts/{name}", np.array(encoded, dtype=f"S{max(map(len, encoded), default=1) or 1}")

    def scenes(self) -> Scenes:
        """The scenes the images were rendered from; `DataError` where a shard has none (imported data)."""
        if "components" not in self.attributes:
            raise DataError("these samples were imported: the scenes behind them are not known")
        components = tuple(Component(*parts) for parts in json.loads(self.attributes["components"]))
        cosmology = Cosmology.model_validate_json(self.attributes["cosmology"])
        return Scenes(components, self.params, self.perturbers, cosmology, self.units)


def scene_attributes(scenes: Scenes) -> dict[str, str]:
    """Root attributes from which `Samples.scenes` rebuilds the scenes."""
    components = [[c.role, c.profile, c.prefix] for c in scenes.components]
    return {"components": json.dumps(components), "cosmology": scenes.cosmology.model_dump_json()}


def pack(samples: Samples) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The bytes of the shard's file, built in memory, and where in them each dataset lies: (offset, bytes).

    Equal samples give equal bytes: no dates, no host names.
    """
    places = {}
    with h5py.File("shard.h5", "w", driver="core", backing_store=False) as file:
        file.attrs["schema"] = SCHEMA
        for name, value in sorted(samples.attributes.items()):
            if isinstance(value, str) and len(value.encode()) > _LONGEST_ATTRIBUTE:
                file.create_dataset(f"attributes/{name}", data=np.void(value.encode()), track_times=False)
            else:
                file.attrs[name] = value
        for name, array in samples.datasets():
            dataset = file.create_dataset(name, data=array, track_times=False)
            stem = name.rpartition("/")[2]
            if samples.units.get(stem):
                dataset.attrs["units"] = samples.units[stem]
        file.flush()
        for name, _ in samples.datasets():
            places[name] = (file[name].id.get_offset() or 0, file[name].id.get_storage_size())
        return file.id.get_file_image(), places


def image_digests(data: bytes | memoryview, rows: int) -> list[bytes]:
    """sha256 of each of `rows` equally long images that lie one after another in `data`."""
    size = len(data) // rows
    return [hashlib.sha256(data[i * size : (i + 1) * size]).digest() for i in range(rows)]


def digest_at(data: bytes, offset: int, size: int, rows_of_images: int = 0) -> str:
    """Hex digest of a dataset's bytes in a file: sha256, for images that of the images' own digests."""
    part = memoryview(data)[offset : offset + size]
    if rows_of_images:
        part = memoryview(b"".join(image_digests(part, rows_of_images)))
    return hashlib.sha256(part).hexdigest()


def write_shard(path: Path, samples: Samples) -> dict[str, Any]:
    """Write a shard atomically; returns what is recorded of it (`ShardRecord`): its shape, places and hashes."""
    data, places = pack(samples)
    write(path, data)
    offset, size = places["images"]
    digests = image_digests(memoryview(data)[offset : offset + size], len(samples))
    hashes = {name: digest_at(data, *place) for name, place in places.items() if name != "images"}
    hashes["images"] = hashlib.sha256(b"".join(digests)).hexdigest()
    return {
        "rows": len(samples),
        "first": int(samples.index[0]),
        "last": int(samples.index[-1]),
        "image_shape": list(samples.images.shape[1:]),
        "class_counts": np.bincount(samples.labels, minlength=len(samples.class_names)).tolist(),
        "bytes": len(data),
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "content": f"{content_sum(samples, digests):064x}",
        "datasets": {
            name: {"offset": place[0], "bytes": place[1], "sha256": hashes[name]}
            for name, place in sorted(places.items())
        },
    }


def content_sum(samples: Samples, digests: list[bytes]) -> int:
    """Sum modulo 2^256 of the sha256 of every sample, given the `digests` of their images.

    A sum over samples rather than a hash over the shard, so that the fingerprint of a data set does not depend on
    how it is cut into shards (a multiset hash after Clarke et al. 2003; against damage, not against forgers).
    """
    names = sorted(samples.params)
    params = np.stack([samples.params[name] for name in names], axis=1) if names else np.empty((len(samples), 0))
    head = np.stack([samples.index, samples.labels], axis=1).astype("<i8")
    tables = [
        np.stack([t.columns[c] for c in sorted(t.columns)], axis=1) for _, t in sorted(samples.perturbers.items())
    ]
    offsets = [table.offset for _, table in sorted(samples.perturbers.items())]
    preamble = "\0".join([*names, *sorted(samples.perturbers)]).encode()
    total = 0
    for i, digest in enumerate(digests):
        hasher = hashlib.sha256(preamble)
        hasher.update(head[i])
        hasher.update(digest)
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


def open_shard(path: Path, data: bytes | None = None) -> h5py.File:
    """Open a shard that may come from a stranger; `data` are its bytes where they were read already.

    `DataError` if it is missing, truncated, of another schema, holds links out of the file, or its datasets do not
    have the shapes and types of a shard.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    try:
        file = h5py.File(path if data is None else io.BytesIO(data), "r")
    except OSError as error:
        raise DataError(f"{path} cannot be opened as HDF5 (truncated or damaged): {error}") from None
    try:
        _check_structure(file, path)
    except DataError:
        file.close()
        raise
    except Exception as error:  # h5py raises many kinds for a damaged structure
        file.close()
        raise DataError(f"{path} has a damaged HDF5 structure: {error}") from None
    return file


def _check_structure(file: h5py.File, path: Path) -> None:
    schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise DataError(f"{path} is no shard of lenssim's: its schema is {schema!r}, not {SCHEMA!r}")
    groups: list[h5py.Group] = [file]
    for group in groups:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"{path}: {group.name}/{name} is a link; a shard holds its own data only")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif item.external or item.is_virtual:
                raise DataError(f"{path}: {item.name} keeps its data in other files; a shard holds its own data only")
    wanted = {"images": ("f", 4), "labels": ("i", 1), "index": ("i", 1)}
    for name, (kind, ndim) in wanted.items():
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != kind or dataset.ndim != ndim:
            raise DataError(f"{path}: the dataset {name} is missing or has a wrong type or shape")
    n = len(file["images"])
    for name in ("labels", "index", *(f"params/{p}" for p in file.get("params", ()))):
        if file[name].shape != (n,):
            raise DataError(f"{path}: {name} has {file[name].shape} entries for {n} images")


def read_samples(path: Path, data: bytes | None = None) -> Samples:
    """Everything a shard holds, as arrays; errors and `data` as in `open_shard`."""
    with open_shard(path, data) as file:
        units = {}
        for group in (file.get("params", {}), *file.get("perturbers", {}).values()):
            units |= {name: str(d.attrs["units"]) for name, d in group.items() if "units" in d.attrs}
        return Samples(
            images=file["images"][...],
            labels=file["labels"][...],
            index=file["index"][...],
            params={name: dataset[...] for name, dataset in file.get("params", {}).items()},
            perturbers={
                kind: Perturbers(table["offset"][...], {c: d[...] for c, d in table.items() if c != "offset"})
                for kind, table in file.get("perturbers", {}).items()
            },
            units=units,
            attributes={name: value for name, value in file.attrs.items() if name != "schema"}
            | {name: bytes(text[()]).decode() for name, text in file.get("attributes", {}).items()},
            texts={name: [t.decode() for t in d[...]] for name, d in file.get("texts", {}).items()},
        )
