"""Overlap of the images of a training with those of a data set for its evaluation.

An image is identified by the hash of its pixels, so exact copies are found under any name and in
any format. Copies that were cut, scaled, turned or recompressed are different images, and are not
found.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    """Rows (N,) of a data set that a run can be evaluated on, and a description of them."""

    rows: np.ndarray
    words: str


def _hashes(dataset: ShardDataset, rows: np.ndarray) -> np.ndarray:
    """Return 8 bytes (N,) of the SHA-256 of images: no two in a million agree by chance."""
    digests = dataset.verified_digests(rows)
    return np.ascontiguousarray(digests[:, :8]).view("<u8").ravel().astype(np.uint64)


def learned_from(
    dataset: ShardDataset, rows: Mapping[str, np.ndarray], before: Seen
) -> dict[str, np.ndarray]:
    """Hash the images of a training, and warn of validation images among the training images.

    Args:
        dataset: The data set, whose shards are checked on the way.
        rows: Rows of the splits `train` and `validation`.
        before: Hashes of the images of earlier trainings.

    Returns:
        The hashes of all images.

    Raises:
        VerificationError: A shard does not hold what was written.
    """
    training = _hashes(dataset, rows["train"])
    validation = _hashes(dataset, rows["validation"])
    copies = int(np.isin(validation, training).sum())
    if copies:
        note(
            f"{dataset.folder}: {copies} of the {len(validation)} validation images are exact "
            "copies of training images; the validation loss looks better than it is"
        )
    earlier = before.get(dataset.fingerprint, np.empty(0, np.uint64))
    hashes = np.unique(np.concatenate([earlier, training, validation]))
    return {**before, dataset.fingerprint: hashes}


def write_seen(run: Run, seen: Seen) -> None:
    """Write the hashes into a run's folder."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = dict(seen)
    np.savez(buffer, **arrays)
    run.hashes.write_file(run.seen, buffer.getvalue())


def read_seen(run: Run) -> dict[str, np.ndarray]:
    """Return the known hashes of the images that a run has learned from, by data set.

    An old run has no hashes. They are computed from its data set, if that still exists.

    Args:
        run: The run.

    Returns:
        Hashes by fingerprint. A missing fingerprint of `run.record.seen` means that the images are
        unknown.

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
        raise DataError(
            f"{run.seen} is not what lenssim train writes: {error}",
            code="document-invalid",
            seen=run.seen,
        ) from None


def _hashed_again(run: Run) -> dict[str, np.ndarray]:
    """Hash the images of an old run; return nothing if its data set is gone or changed."""
    record = run.record
    folder = record.config.data
    if record.files is not None or folder is None or not Path(folder).is_dir():
        return {}
    try:
        dataset = ShardDataset(folder)
        if dataset.fingerprint != record.data.fingerprint:
            return {}
        splits = [dataset.rows("train"), dataset.rows("validation")]
        rows = record.task.usable(dataset, np.concatenate(splits))
        return {dataset.fingerprint: np.unique(_hashes(dataset, rows))}
    except LenssimError:
        return {}


def held_out(run: Run, dataset: ShardDataset, others: Sequence[Run] = ()) -> HeldOut:
    """Choose the rows of a data set whose images no run has learned from.

    If the data set may share scenes with one that a run was trained on, only the test blocks count.
    Exact copies of images that a run has learned from are excluded in any case.

    Args:
        run: The run.
        dataset: The data set. The shards of the rows are checked on the way.
        others: Runs that are evaluated together with it.

    Returns:
        The rows, and a description of them, which also says whether copies cannot be excluded.

    Raises:
        VerificationError: A shard does not hold what was written.
        DataError: The hashes in a run's folder are damaged.
    """
    identity = identify(dataset)
    learned = []
    for trained in (run, *others):
        hashes = read_seen(trained)
        learned += [(training, hashes) for training in trained.record.seen]
    shared = any(identity.shares_samples(training) for training, _ in learned)
    rows = run.record.task.judged(dataset, dataset.rows("test" if shared else None))
    copies = _copies(dataset, rows, [hashes for _, hashes in learned])
    if len(rows) and copies.all():
        return HeldOut(rows[:0], "all of them are among those that the run learned from")
    words = "all samples"
    if shared:
        words = "test blocks (the training data have the same seed or contents)"
    if copies.any():
        words += f" but {copies.sum()} that the run learned from"
    if any(_is_unknown(identity, training, hashes) for training, hashes in learned):
        words += "; whether the run learned from copies of them cannot be known"
    elif not shared and not copies.any():
        words += f" ({_proof(identity, learned)})"
    return HeldOut(rows[~copies], words)


def _copies(dataset: ShardDataset, rows: np.ndarray, learned: Sequence[Seen]) -> np.ndarray:
    """Tell which rows (N,) are exact copies of images with the given hashes."""
    hashes = [array for images in learned for array in images.values()]
    if not hashes:
        return np.zeros(len(rows), bool)
    return np.isin(_hashes(dataset, rows), np.concatenate(hashes))


def _is_unknown(identity: DataIdentity, training: DataIdentity, hashes: Seen) -> bool:
    """Tell whether it is unknown if a data set has copies of images of a training's data set."""
    return training.fingerprint not in hashes and not _both_simulated(identity, training)


def _both_simulated(identity: DataIdentity, training: DataIdentity) -> bool:
    return identity.seed is not None and training.seed is not None


def _proof(identity: DataIdentity, learned: Sequence[tuple[DataIdentity, Seen]]) -> str:
    """Say why no image of a data set is a copy."""
    if all(_both_simulated(identity, training) for training, _ in learned):
        return "the training data were drawn by another seed"
    return "none is an exact copy of an image that the run learned from"


def is_at_hand(dataset: object) -> bool:
    """Tell whether all images of a data set can be read now, without fetching or waiting."""
    return isinstance(dataset, ShardDataset) and isinstance(dataset.location, LocalFolder)
