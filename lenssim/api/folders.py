"""Folders of data sets from Python: what they hold, completing them, storing them in another way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset

if TYPE_CHECKING:
    from lenssim.data.inspection.summary import Summary

__all__ = ["info", "repack", "seal"]

Stop = Callable[[], bool]


@checked
def info(folder: Dataset | Path | str) -> Summary:
    """Say what a data set is: preset, size, classes, noise, seed, versions, fingerprint.

    The data set may be incomplete. Its shards are not read.

    Args:
        folder: The data set, its folder or its URL.

    Returns:
        The summary; `.document()` gives all of it as plain values.

    Raises:
        DataError: There is no data set.

    Example:
        >>> summary = info("data/III")
        >>> summary.complete, summary.images, summary.origin.noise
        (True, 300, 'nominal')
    """
    from lenssim.data.inspection.summary import summarise

    if isinstance(folder, Dataset):
        folder = folder.folder
    return summarise(folder)


@checked
def seal(folder: Path | str) -> Dataset:
    """Complete a data set whose shards are all there: write its manifest.

    Args:
        folder: Folder of a data set whose shards were made in several shares.

    Returns:
        The data set.

    Raises:
        IncompleteError: Shards are missing; the message names the first.
        DataError: A reader would refuse a shard; the message names it.

    Example:
        >>> len(seal("data/III"))
        300
    """
    from lenssim.data.format.manifest import read_plan
    from lenssim.data.generation.building import seal as write_manifest

    manifest = write_manifest(Path(folder), read_plan(Path(folder)))
    return Dataset.just_made(Path(folder), manifest)


@checked
def repack(
    source: Dataset | Path | str,
    out: Path | str,
    storage: str = "float32",
    compress: bool = False,
    *,
    stop: Stop = lambda: False,
) -> Dataset:
    """Store a data set in another way: the same as if it had been generated so.

    The same call again continues what was interrupted.

    Args:
        source: The complete data set, its folder or its URL.
        out: Folder of the data set to write.
        storage: float32, float16 or int16.
        compress: Whether to compress by bitshuffle and LZ4, which needs `lenssim[compress]`.
        stop: Function that is asked between shards; True leaves the rest for another call.

    Returns:
        The data set that was written.

    Raises:
        ConfigError: The storage is unknown, or the data set was rounded to another one.
        VerificationError: A shard does not hold what was written.
        IncompleteError: Work stopped before its end; the same call continues it.

    Example:
        >>> repack("data/III", "data/III-int16", "int16").image_shape
        (1, 64, 64)
    """
    from lenssim.api.progress import samples_bar
    from lenssim.data.inspection.repacking import repack as write_copy

    if isinstance(source, Dataset):
        source = source.folder
    with samples_bar("repacking") as report:
        manifest = write_copy(
            source, Path(out), storage, compress, report=report, stop=stop
        )
    return Dataset.just_made(Path(out), manifest)
