"""The bytes of a shard's file: what HDF5 makes of samples, without copies of their images."""

import hashlib
import io
from collections.abc import Buffer, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, override

import h5py
import numpy as np

from lenssim.data.format.files import write
from lenssim.data.format.shard import SCHEMA, Samples, content_sum, image_digests
from lenssim.data.format.storage import CHUNK_ROWS, compression

__all__ = ["Packed", "digest_at", "pack", "write_shard"]

_MAX_ATTRIBUTE_BYTES = 60_000  # HDF5 holds up to 64 KiB; longer texts are datasets
_IN_PLACE = 1 << 16  # bytes: larger arrays in one piece are not copied

Piece = tuple[int, int]  # offset and bytes in a file


@dataclass(frozen=True)
class Packed:
    """A shard's file, not yet written.

    Attributes:
        parts: The bytes of the file, one part after another. Images are those of the
            samples themselves.
        pieces: The pieces of the file in which each dataset lies.
        record: The fields of its `ShardRecord`: shape, pieces and hashes.
    """

    parts: list[Buffer]
    pieces: dict[str, list[Piece]]
    record: dict[str, Any]

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


class _Outline(io.RawIOBase):
    """A file in memory that keeps what HDF5 writes, and holes where it writes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[int, bytes]] = []
        self.position = 0
        self.end = 0

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readable(self) -> bool:
        return True

    @override
    def writable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.end}
        self.position = origins[whence] + offset
        return self.position

    @override
    def tell(self) -> int:
        return self.position

    @override
    def truncate(self, size: int | None = None) -> int:
        self.end = self.position if size is None else size
        return self.end

    @override
    def write(self, data: Any) -> int:
        copy = bytes(data)
        self.writes.append((self.position, copy))
        self.position += len(copy)
        self.end = max(self.end, self.position)
        return len(copy)

    @override
    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = self.between(self.position, self.position + len(view))
        self.position += len(view)
        return len(view)

    def between(self, start: int, stop: int) -> bytes:
        """Return the bytes of a part of the file, zeros where nothing was written."""
        data = bytearray(stop - start)
        for offset, written in self.writes:
            first = max(offset, start)
            last = min(offset + len(written), stop)
            if first < last:
                data[first - start : last - start] = written[first - offset : last - offset]
        return bytes(data)


def pack(samples: Samples) -> Packed:
    """Build the file of a shard in memory, around its images.

    Equal samples give equal bytes: the file holds no dates and no host names.

    Args:
        samples: The samples.
    """
    outline = _Outline()
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(outline, "w", driver="fileobj") as file:
        file.attrs["schema"] = SCHEMA
        for name, value in sorted(samples.attributes.items()):
            _write_attribute(file, name, value)
        for name, array in samples.datasets():
            # HDF5 writes the chunks of a dataset when it is closed: the variable keeps it
            # open until the next one exists, and so decides about the order in the file
            if _stays_in_place(name, array, samples.compress):
                dataset = _reserve(file, name, array)
                arrays[name] = np.ascontiguousarray(array)
            else:
                dataset = _create_dataset(file, name, array, samples.compress)
            stem = name.rpartition("/")[2]
            if samples.units.get(stem):
                dataset.attrs["units"] = samples.units[stem]
        file.flush()
        pieces = {name: _pieces(file[name]) for name, _ in samples.datasets()}
    parts = list(_parts(outline, {pieces[name][0]: a for name, a in arrays.items()}))
    return Packed(parts, pieces, _record(samples, parts, pieces))


def _stays_in_place(name: str, array: np.ndarray, compress: bool) -> bool:
    """Return whether an array is written from where it lies."""
    if name == "images" and compress:
        return False
    return array.nbytes >= _IN_PLACE and array.dtype.kind in "fiu"


def _reserve(file: h5py.File, name: str, array: np.ndarray) -> h5py.Dataset:
    """Make room for an array in the file, without its numbers."""
    dataset = file.create_dataset(name, array.shape, array.dtype, track_times=False)
    dataset[(0,) * array.ndim] = 0  # HDF5 allocates the whole at the first write
    return dataset


def _parts(outline: _Outline, arrays: dict[Piece, np.ndarray]) -> Iterator[Buffer]:
    """Yield the bytes of a file in turn: of HDF5's, and of arrays in their places."""
    position = 0
    for (offset, size), array in sorted(arrays.items(), key=lambda item: item[0]):
        yield outline.between(position, offset)
        yield memoryview(array.reshape(-1)).cast("B")
        position = offset + size
    yield outline.between(position, outline.end)


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
    """Write a dataset; images in compressed chunks if that is wanted."""
    layout: dict[str, Any] = {}
    if name == "images" and compress:
        chunks = (min(CHUNK_ROWS, len(array)), *array.shape[1:])
        layout = {"chunks": chunks, **compression()}
    return file.create_dataset(name, data=array, track_times=False, **layout)


def _pieces(dataset: h5py.Dataset) -> list[Piece]:
    """Return the pieces (offset, bytes) of a file in which a dataset lies."""
    if dataset.chunks is None:
        return [(dataset.id.get_offset() or 0, dataset.id.get_storage_size())]
    chunks = (dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks()))
    return [(chunk.byte_offset, chunk.size) for chunk in chunks]


def _record(
    samples: Samples, parts: list[Buffer], pieces: dict[str, list[Piece]]
) -> dict[str, Any]:
    """Return the fields of a `ShardRecord`; each byte of an image is hashed once."""
    stored = np.ascontiguousarray(samples.images)
    digests = image_digests(memoryview(stored.reshape(-1)).cast("B"), len(samples))
    classes = len(samples.class_names)
    record = {
        "rows": len(samples),
        "first": int(samples.index[0]),
        "last": int(samples.index[-1]),
        "image_shape": list(samples.images.shape[1:]),
        "class_counts": np.bincount(samples.labels, minlength=classes).tolist(),
        "bytes": sum(memoryview(part).nbytes for part in parts),
    }
    if samples.compress:
        record["file_sha256"] = _digest(parts)
    else:
        record["frame_sha256"] = _digest(_without(parts, *pieces["images"]))
    record["content"] = f"{content_sum(samples, digests):064x}"
    record["datasets"] = _dataset_records(samples, parts, pieces, digests)
    return record


def _dataset_records(
    samples: Samples,
    parts: list[Buffer],
    pieces: dict[str, list[Piece]],
    digests: list[bytes],
) -> dict[str, dict[str, Any]]:
    """Return where each dataset lies in the bytes of a file, and its hash."""
    records = {}
    for name, places in sorted(pieces.items()):
        record: dict[str, Any] = {
            "offset": places[0][0],
            "bytes": sum(size for _, size in places),
        }
        if name == "images" and not samples.compress:
            record["sha256"] = _digest([b"".join(digests)])
        else:
            record["sha256"] = _digest(_between(parts, *place) for place in places)
        if name == "images" and samples.compress:
            record["chunks"] = places
        records[name] = record
    return records


def _without(parts: list[Buffer], piece: Piece) -> Iterator[Buffer]:
    """Yield the bytes of a file before and after a piece."""
    offset, size = piece
    total = sum(memoryview(part).nbytes for part in parts)
    yield _between(parts, 0, offset)
    yield _between(parts, offset + size, total - offset - size)


def _between(parts: list[Buffer], offset: int, size: int) -> Buffer:
    """Return a part of a file, without a copy where it lies in one of its `parts`."""
    chosen = []
    start = 0
    for part in parts:
        view = memoryview(part)
        first = max(offset - start, 0)
        last = min(offset + size - start, view.nbytes)
        if first < last:
            chosen.append(view[first:last])
        start += view.nbytes
    return chosen[0] if len(chosen) == 1 else b"".join(chosen)


def _digest(parts: Iterable[Buffer]) -> str:
    """Return the sha256 of bytes, one part after another, in hex digits."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def digest_at(data: bytes, pieces: list[Piece], rows_of_images: int = 0) -> str:
    """Return the digest of a dataset's bytes in a file.

    Args:
        data: The bytes of the file.
        pieces: The pieces (offset, bytes) in which the dataset lies.
        rows_of_images: The number of images, for images in one piece; else 0.

    Returns:
        64 hex digits: the sha256; for images in one piece that of the images' own digests.
    """
    view = memoryview(data)
    parts = [view[offset : offset + size] for offset, size in pieces]
    if rows_of_images and len(parts) == 1:
        parts = [memoryview(b"".join(image_digests(parts[0], rows_of_images)))]
    return _digest(parts)


def write_shard(path: Path, packed: Packed) -> None:
    """Write a shard atomically.

    The folder is not flushed: whoever writes the sidecar flushes it, and without a sidecar
    there is no shard.

    Args:
        path: The shard's file.
        packed: What it is to hold.

    Raises:
        StorageError: The file cannot be written.
    """
    write(path, *packed.parts, sync_folder=False)
