"""Checks from Python: of a data set's bytes, of what gives its classes away, and of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.realism import RealismTable, realism_table
from lenssim.api.table import Table
from lenssim.api.verification import verified
from lenssim.api.workers import check_workers
from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lenssim.data.inspection.verification import Report
    from lenssim.data.streaming.dataset import ShardDataset

__all__ = ["LeakAudit", "audit", "doctor", "verify"]


class LeakAudit(Table):
    """What a leak audit found: a row for each pair of classes and statistic.

    Attributes:
        document: All numbers and the verdict, as in leak_audit.json.
        path: The file that was written; None if there is none.
    """

    document: dict[str, Any]
    path: Path | None

    @property
    def verdict(self) -> str:
        """Whether and where the classes are given away, in words."""
        return str(self.document["verdict"])


@checked
def verify(
    folder: Dataset | Path | str,
    *,
    fast: bool = False,
    resimulate: int = 0,
    galaxies: Path | str | None = None,
    background: Path | str | None = None,
    lenses: Path | str | None = None,
) -> "Report":
    """Check that a data set holds what was written.

    Args:
        folder: The data set, its folder or its URL.
        fast: Whether to look at presence and sizes only.
        resimulate: Number of samples to make again and compare bit by bit.
        galaxies: Where the galaxies are that the data set's sources show.
        background: Where the cut-outs of sky are that its images show.
        lenses: Where its table of lenses is, if not in the folder.

    Returns:
        What was looked at.

    Raises:
        VerificationError: Something is wrong; the message lists it and says how to mend it.
        IncompleteError: The data set is unfinished.

    Example:
        >>> report = verify("data/III", fast=True)
        >>> report.samples, report.problems
        (300, [])
    """
    if isinstance(folder, Dataset):
        folder = folder.folder
    places = {"galaxies": galaxies, "background": background, "lenses": lenses}
    return verified(folder, fast=fast, resimulate=resimulate, **places)


@checked
def audit(
    data: Dataset | Path | str,
    *,
    limit: int | None = None,
    judged_by: Dataset | Path | str | None = None,
    real: Dataset | Path | str | None = None,
    run: Path | str | None = None,
    out: Path | str | None = None,
    picture: str = "image",
) -> LeakAudit | RealismTable:
    """Try to tell the classes apart by flux, ring, moments, noise, layout and edges.

    Nobody should be able to: a network that can need not learn substructure. With `real`, try
    to tell simulated images and real ones apart instead, by noise, light and fine structure.

    Args:
        data: The data set, its folder or its URL.
        limit: Judge only the first images of each class, this many. With `real`: so many images
            of each data set, evenly spaced; 1,000 unless stated.
        judged_by: Learn from all of `data` and judge by this data set: other samples of the
            same preset.
        real: A data set of real images, of the same pixels, bands and size.
        run: With `real`, a run whose network is asked too; None: a network with random weights.
        out: JSON file to write; None: leak_audit.json or realism_audit.json in the folder.
        picture: What is audited: `image`, or a map that the data set keeps, such as `twin`. The
            audit of a map is written to `out` alone.

    Returns:
        AUC with its 95 % interval, a row for each pair of classes and statistic; its title is
        the verdict. With `real`, a row for each statistic, the most different first.

    Raises:
        ConfigError: A value cannot be, or `judged_by` holds the same samples.
        DataError: There are too few images, of a class or of a data set.

    Example:
        >>> table = audit("data/III", limit=60, out="audit.json")
        >>> list(table)
        ['classes', 'statistic', 'auc', 'low', 'high', 'leaks']
    """
    from lenssim.data.format.files import write_json
    from lenssim.data.format.manifest import read_manifest, read_plan
    from lenssim.data.format.maps import IMAGE
    from lenssim.data.generation.dataset_card import LEAK_AUDIT, write_card
    from lenssim.data.streaming.locations import LocalFolder
    from lenssim.learn.scores.leaks import audit as judge

    _check_options(limit, out)
    _check_together(judged_by is not None, real is not None, run is not None)
    source = _dataset(data).source
    if real is not None:
        path = Path(out) if out is not None else None
        return realism_table(source, _dataset(real).source, run, limit, path)
    judges = None
    if judged_by is not None:
        judges = _of_picture(_dataset(judged_by).source, picture)
    document, rows = judge(_of_picture(source, picture), limit, judges)
    path = None
    stays = picture == IMAGE and isinstance(source.location, LocalFolder)
    if out is not None:
        path = Path(out)
    elif stays:
        path = Path(source.folder) / LEAK_AUDIT
    if path is not None:
        write_json(path, document)
    if stays:
        folder = Path(source.folder)
        write_card(folder, read_plan(folder), read_manifest(folder))
    names = ("statistic", "auc", "low", "high", "leaks")
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    classes = [" / ".join(row.classes) for row in rows]
    audited = LeakAudit({"classes": classes, **columns}, title=str(document["verdict"]))
    audited.document = document
    audited.path = path
    return audited


def _of_picture(source: "ShardDataset", picture: str) -> "ShardDataset":
    """Return a data set whose images are one of its maps."""
    from lenssim.data.format.maps import IMAGE
    from lenssim.data.streaming.dataset import ShardDataset

    if picture == IMAGE:
        return source
    return ShardDataset(source.folder, source.split, picture=picture)


def _check_options(limit: int | None, out: Path | str | None) -> None:
    if limit is not None and limit < 1:
        raise ConfigError(
            f"--limit must be at least 1, got {limit}",
            code="option-range",
            option="limit",
            value=limit,
        )
    if out is not None and Path(out).suffix != ".json":
        raise ConfigError(
            f"--out takes a .json file, got {out}",
            code="option-format",
            option="out",
            value=out,
        )


def _check_together(judged_by: bool, real: bool, run: bool) -> None:
    """Refuse options that do not go together."""
    if judged_by and real:
        raise ConfigError(
            "--judged-by judges the classes, and --real all images: give one of them",
            code="options-conflict",
            options=["judged_by", "real"],
        )
    if run and not real:
        raise ConfigError(
            "--run is the network of a realism audit: give --real too",
            code="option-missing",
            option="real",
        )


def _dataset(data: Dataset | Path | str) -> Dataset:
    return data if isinstance(data, Dataset) else Dataset(data)


@checked
def doctor(workers: int | None = None) -> Table:
    """Look at the machine: cache, temporary files, compiler, memory, network, limits.

    Args:
        workers: Worker processes to judge for; None: one a core.

    Returns:
        A row for each check. Its `state` is ok, warn (slower, or less is kept) or fail (a run
        cannot work); `mend` says what to do.

    Raises:
        ConfigError: The number of workers cannot be.

    Example:
        >>> list(doctor(workers=1))
        ['check', 'state', 'text', 'mend']
    """
    from lenssim.data.generation.surroundings import examine
    from lenssim.machine import available_cores

    check_workers(workers)
    count = workers
    if count is None:
        count = available_cores()
    rows = examine(count)
    names = ("check", "state", "text", "mend")
    return Table({name: [getattr(row, name) for row in rows] for name in names})
