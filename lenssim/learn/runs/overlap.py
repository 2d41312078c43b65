"""Which images a run has learned from, and which of a data set it may therefore be judged by.

An image is known by the hash of its pixels, so exact copies are found under any name and in any format. Copies that
were cut, scaled, turned or recompressed are other images, and are not found.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.locations import LocalFolder
from lenssim.errors import DataError, LenssimError
from lenssim.learn.runs.run import DataIdentity, Run, identify
from lenssim.notes import note

__all__ = [
    "HeldOut",
    "Seen",
    "held_out",
    "is_at_hand",
    "learned_from",
    "read_seen",
    "write_seen",
]

Seen = Mapping[str, np.ndarray]
"""Hashes of the images that a run has learned from: rising uint64 (n,), by the fingerprint of their data set."""


class HeldOut(NamedTuple):
    """Rows (N,) of a data set that a run can be judged by, and in words which they are."""

    rows: np.ndarray
    words: str


def _hashes(dataset: ShardDataset, rows: np.ndarray) -> np.ndarray:
    """The first 8 bytes (N,) of the SHA-256 of images: among a million images no two agree by chance."""
    digests = dataset.verified_digests(rows)
    return np.ascontiguousarray(digests[:, :8]).view("<u8").ravel().astype(np.uint64)


def learned_from(
    dataset: ShardDataset, rows: Mapping[str, np.ndarray], before: Seen
) -> dict[str, np.ndarray]:
    """Hash the images that a training learns from; say where validation images are among the training images.

    Args:
        dataset: The data set, whose shards are checked on the way.
        rows: Rows of the splits `train` and `validation`.
        before: What the trainings before this one have learned from.

    Returns:
        The hashes of all of them.

    Raises:
        VerificationError: A shard does not hold what was written.
    """
    training = _hashes(dataset, rows["train"])
    validation = _hashes(dataset, rows["validation"])
    if copies := int(np.isin(validation, training).sum()):
        note(
            f"{dataset.folder}: {copies} of the {len(validation)} validation images are exact copies of training "
            "images; the validation loss looks better than it is"
        )
    earlier = before.get(dataset.fingerprint, np.empty(0, np.uint64))
    return {
        **before,
        dataset.fingerprint: np.unique(np.concatenate([earlier, training, validation])),
    }


def write_seen(run: Run, seen: Seen) -> None:
    """Write the hashes into a run's folder."""
    buffer = io.BytesIO()
    np.savez(buffer, **seen)
    run.hashes.write_file(run.seen, buffer.getvalue())


def read_seen(run: Run) -> dict[str, np.ndarray]:
    """Return the hashes of the images that a run has learned from, by data set, as far as they are known.

    A run that was made before images were hashed has none; they are those of its data set where that still exists.

    Args:
        run: The run.

    Returns:
        Hashes by fingerprint. A fingerprint of `run.record.seen` that is missing means that nobody knows.

    Raises:
        DataError: The file is missing, damaged or of another run.
    """
    run.check(run.seen)
    if not run.seen.is_file():
        return _hashed_again(run)
    try:
        with np.load(io.BytesIO(run.seen.read_bytes()), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{run.seen} is not what lenssim train writes: {error}") from None


def _hashed_again(run: Run) -> dict[str, np.ndarray]:
    record = run.record
    if (
        record.files is not None
        or record.config.data is None
        or not Path(record.config.data).is_dir()
    ):
        return {}
    try:
        dataset = ShardDataset(record.config.data)
        if dataset.fingerprint != record.data.fingerprint:
            return {}
        splits = [dataset.rows("train"), dataset.rows("validation")]
        rows = record.task.usable(dataset, np.concatenate(splits))
        return {dataset.fingerprint: np.unique(_hashes(dataset, rows))}
    except LenssimError:
        return {}


def held_out(run: Run, dataset: ShardDataset, others: Sequence[Run] = ()) -> HeldOut:
    """Choose the rows of a data set that runs can be judged by: those of images that none of them has learned from.

    Of a data set that may share scenes with one that a run was trained on, only the test blocks are taken. Of these, or
    else of all rows, exact copies of images that a run has learned from are left out.

    Args:
        run: The run.
        dataset: The data set. The shards of the rows are checked on the way.
        others: Runs that are judged together with it.

    Returns:
        The rows that are left, and which they are in words: also whether copies cannot be known.

    Raises:
        VerificationError: A shard does not hold what was written.
        DataError: The hashes that a run keeps are damaged.
    """
    asked = identify(dataset)
    learned = [
        (identity, read_seen(each))
        for each in (run, *others)
        for identity in each.record.seen
    ]
    same = any(asked.shares_samples(identity) for identity, _ in learned)
    rows = run.record.task.usable(dataset, dataset.rows("test" if same else None))
    which = (
        "test blocks (the training data have the same seed or contents)"
        if same
        else "all samples"
    )
    known = [hashes for _, seen in learned for hashes in seen.values()]
    copies = (
        np.isin(_hashes(dataset, rows), np.concatenate(known))
        if known
        else np.zeros(len(rows), bool)
    )
    if len(rows) and copies.all():
        return HeldOut(rows[:0], "all of them are among those that the run learned from")
    left_out = f" but {copies.sum()} that the run learned from" if copies.any() else ""
    if any(_unknown(asked, identity, seen) for identity, seen in learned):
        doubt = "; whether the run learned from copies of them cannot be known"
    elif same or copies.any():
        doubt = ""
    else:
        doubt = f" ({_proof(asked, learned)})"
    return HeldOut(rows[~copies], which + left_out + doubt)


def _unknown(asked: DataIdentity, identity: DataIdentity, seen: Seen) -> bool:
    """Whether nothing tells if images of one data set are among those of another that was learned from."""
    return identity.fingerprint not in seen and not _both_simulated(asked, identity)


def _both_simulated(asked: DataIdentity, identity: DataIdentity) -> bool:
    return asked.seed is not None and identity.seed is not None


def _proof(asked: DataIdentity, learned: Sequence[tuple[DataIdentity, Seen]]) -> str:
    if all(_both_simulated(asked, identity) for identity, _ in learned):
        return "the training data were drawn by another seed"
    return "none is an exact copy of an image that the run learned from"


def is_at_hand(dataset: object) -> bool:
    """Whether all images of a data set can be read now, without fetching them or waiting for them."""
    return isinstance(dataset, ShardDataset) and isinstance(dataset.location, LocalFolder)
