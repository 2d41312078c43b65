"""The shard: an HDF5 file of fixed-shape datasets (docs/data-format.md)."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from lenssim.data.format.dither import NEWEST_DITHER
from lenssim.data.format.storage import decode, encode
from lenssim.errors import DataError
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.scenes import Component, Perturbers, Scenes

__all__ = [
    "SCHEMA",
    "Samples",
    "content_sum",
    "fingerprint_sum",
    "image_digests",
    "scene_attributes",
]

SCHEMA = "lenssim-shard/1"
_MODULUS = 1 << 256


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

    def stored_as(
        self, storage: str, compress: bool, dither_stream: str = NEWEST_DITHER
    ) -> "Samples":
        """Return these samples in another storage, with the same attributes."""
        images, scale = encode(self.pixels, self.index, storage, dither_stream)
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


def image_digests(data: bytes | memoryview, rows: int) -> list[bytes]:
    """Cut `data` into `rows` images of equal length; return the sha256 of each."""
    size = len(data) // rows
    images = (data[row * size : (row + 1) * size] for row in range(rows))
    return [hashlib.sha256(image).digest() for image in images]


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
    parts = [_row_bytes(identities), digests]
    if samples.scale is not None:
        parts.append(_row_bytes(samples.scale.astype("<f4", copy=False)))
    for name, maps in sorted(samples.truth.items()):
        parts += [
            [name.encode()] * len(digests),
            _row_bytes(maps.astype("<f4", copy=False)),
        ]
    parts += [_row_bytes(params.astype("<f8", copy=False)), *tables]
    for _, texts in sorted(samples.texts.items()):
        parts.append([text.encode() + b"\0" for text in texts])
    rows = zip(*parts, strict=True)
    sums = [hashlib.sha256(all_names + b"".join(row)).digest() for row in rows]
    return sum(int.from_bytes(digest, "big") for digest in sums) % _MODULUS


def _row_bytes(array: np.ndarray) -> list[memoryview]:
    """Return the bytes of each row (first axis) of an array."""
    size = array.nbytes // max(1, len(array))
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return [data[row * size : (row + 1) * size] for row in range(len(array))]


def _table_rows(table: Perturbers) -> list[memoryview]:
    """Return the bytes of the rows (k, columns) of a table that belong to each system."""
    names = sorted(table.columns)
    values = np.stack([table.columns[name] for name in names], axis=1)
    data = values.reshape(-1).view(np.uint8).data
    edges = (table.offset * values.itemsize * len(names)).tolist()
    return [data[start:stop] for start, stop in pairwise(edges)]


def fingerprint_sum(contents: list[str]) -> str:
    """Return the fingerprint of a data set from the content sums of its shards.

    Args:
        contents: The content sum of each shard, as 64 hex digits.

    Returns:
        64 hex digits.
    """
    total = sum(int(content, 16) for content in contents)
    return f"{total % _MODULUS:064x}"
