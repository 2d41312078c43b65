"""Hashes of shards, checked against their records, and of images, which show copies."""

import hashlib
import io
from pathlib import Path

import numpy as np

from lenssim.data.format.files import cause
from lenssim.data.format.packing import digest_at
from lenssim.data.format.reading import read_samples
from lenssim.data.format.records import ShardRecord
from lenssim.data.format.shard import Samples
from lenssim.errors import DataError, VerificationError

__all__ = [
    "check_shard",
    "damage",
    "holds",
    "is_whole",
    "pixel_digests",
    "read_verified",
    "shared_images",
]

_AT_ONCE = 1 << 20  # bytes


def pixel_digests(images: np.ndarray) -> np.ndarray:
    """Return the sha256 of each image's pixels.

    A copy of an image in another layout or lossless storage has the same digest.

    Args:
        images: Images (N, C, H, W) in e-/s, decoded.

    Returns:
        Digests uint8 (N, 32), of the pixels as little-endian float32 in C order.
    """
    pixels = np.ascontiguousarray(images, "<f4")
    digests = [hashlib.sha256(image).digest() for image in pixels]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), 32)


def shared_images(digests: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return whether each image is among the known ones.

    Args:
        digests: Digests uint8 (N, 32) of the images in question, see `pixel_digests`.
        known: Digests uint8 (M, 32) of the known images.

    Returns:
        Booleans (N,).

    Example:
        >>> import numpy as np
        >>> digests = pixel_digests(np.arange(8.0).reshape(2, 1, 2, 2))
        >>> shared_images(digests, digests[1:])
        array([False,  True])
    """
    known_bytes = {digest.tobytes() for digest in known}
    return np.array([digest.tobytes() in known_bytes for digest in digests], dtype=bool)


def is_whole(path: Path, record: ShardRecord) -> bool:
    """Return whether a file is, byte for byte, the shard of a record.

    Args:
        path: The file, which may be missing.
        record: The record in the manifest.

    Returns:
        False for a missing file, too.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size != record.bytes:
                return False
            return _has_hashes(file, record)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {cause(error)}", code="unreadable-file", path=path
        ) from None


def holds(data: bytes, record: ShardRecord) -> bool:
    """Return whether bytes are, each of them, the file of a record."""
    return len(data) == record.bytes and _has_hashes(io.BytesIO(data), record)


def _has_hashes(file: io.BufferedIOBase, record: ShardRecord) -> bool:
    """Return whether an open file has the hashes of a record."""
    if record.file_sha256 is not None:
        return hashlib.file_digest(file, "sha256").hexdigest() == record.file_sha256
    images = record.datasets["images"]
    frame = hashlib.sha256()
    _feed(file, images.offset, frame)
    digests = hashlib.sha256()
    for row in range(record.rows):
        size = images.bytes * (row + 1) // record.rows - images.bytes * row // record.rows
        digests.update(hashlib.sha256(file.read(size)).digest())
    _feed(file, record.bytes - images.offset - images.bytes, frame)
    return (frame.hexdigest(), digests.hexdigest()) == (record.frame_sha256, images.sha256)


def _feed(file: io.BufferedIOBase, size: int, hasher: "hashlib._Hash") -> None:
    """Feed the next bytes of a file to a hash, in bounded memory."""
    while size > 0:
        data = file.read(min(size, _AT_ONCE))
        if not data:
            return
        hasher.update(data)
        size -= len(data)


def check_shard(path: Path, record: ShardRecord) -> None:
    """Check every byte of a shard's file against its record.

    Args:
        path: The file.
        record: Its record in the manifest.

    Raises:
        VerificationError: The file is not the one of the record. The message names the
            datasets that differ.
        DataError: The file is missing or cannot be read.
    """
    if not is_whole(path, record):
        raise _not_as_written(path, _read(path), record)


def read_verified(path: Path, record: ShardRecord) -> Samples:
    """Read everything that a shard holds, after a check of every byte against its record.

    Args:
        path: The file.
        record: Its record in the manifest.

    Returns:
        The samples, made from the very bytes that were checked.

    Raises:
        VerificationError: The file is not the one of the record. The message names the
            datasets that differ.
        DataError: The file is missing, cannot be read, or is no shard.
    """
    data = _read(path)
    if not holds(data, record):
        raise _not_as_written(path, data, record)
    return read_samples(path, data)


def _read(path: Path) -> bytes:
    """Return the bytes of a file; `DataError` if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist", code="no-file", path=path) from None
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {cause(error)}", code="unreadable-file", path=path
        ) from None


def damage(data: bytes, record: ShardRecord) -> list[str]:
    """Return what differs in the bytes of a shard's file, one line for each dataset.

    Args:
        data: The bytes of the file, which is not the one of the record.
        record: Its record in the manifest.

    Returns:
        At least one line.
    """
    lines: list[str] = []
    if len(data) != record.bytes:
        lines.append(
            f"{len(data)} bytes instead of {record.bytes} (truncated or overwritten)"
        )
    for name, dataset in record.datasets.items():
        images_in_one_piece = name == "images" and dataset.chunks is None
        rows_of_images = record.rows if images_in_one_piece else 0
        if digest_at(data, dataset.places, rows_of_images) != dataset.sha256:
            lines.append(f"dataset {name} does not hold what was written (sha256 differs)")
    return lines or [
        "the HDF5 structure (attributes or headers) does not hold what was written"
    ]


def _not_as_written(path: Path, data: bytes, record: ShardRecord) -> VerificationError:
    """Return the error that names the damage of a file."""
    lines = "; ".join(damage(data, record))
    return VerificationError(
        f"{path}: {lines}; lenssim verify lists all damage and says how to mend it",
        code="damaged-data",
        path=path,
    )
