"""Models of lenses from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.options import parse_request
from lenssim.api.signatures import takes_options
from lenssim.api.table import Table
from lenssim.api.workers import check_workers
from lenssim.sky.models.request import FitRequest

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset

__all__ = ["FitOptions", "Models", "fit"]

Stop = Callable[[], bool]
_WORTH_WORKERS = 32  # lenses: fewer are fitted sooner than workers start


class FitOptions(TypedDict, total=False):
    """Options of a fit: fields of `FitRequest`."""

    source: str | None
    mass: str | None
    lens_light: str | None
    band: str | None
    guesses: Path | str | None
    start: Path | str | None
    native_scale: float | None
    skip_bad: bool | None
    multipoles: bool | None
    quick: bool | None
    n: int | None
    device: str | None


class Models(Table):
    """The models of some lenses, a row each.

    Attributes:
        folder: The folder of the fit.

    Example:
        >>> models = fit("data/III", "fits/III", workers=0, n=1)
        >>> models.flagged <= models.rows
        True
    """

    folder: Path

    @property
    def pictures(self) -> Dataset:
        """The data set of the pictures `model`, `lens_light`, `source` and `residual`."""
        from lenssim.sky.models.results import PICTURES

        return Dataset(self.folder / PICTURES)

    @property
    def flagged(self) -> int:
        """The number of models that are not to be trusted."""
        return sum(bool(flags) for flags in self["flags"].tolist())


@checked
@takes_options(FitRequest, types=FitOptions)
def fit(
    data: Dataset | Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    workers: int | None = None,
    stop: Stop = lambda: False,
    **options: Unpack[FitOptions],
) -> Models:
    """Model the lenses of a data set from scratch; the same call continues what was interrupted.

    Args:
        data: A data set, its folder, a folder of FITS files with noise maps and PSFs, or some
            FITS files and folders of them.
        out: Folder of the fit: table, covariances, pictures, COOLEST documents, page.
        workers: Worker processes; 0 works in this one. None: one a core, as far as memory goes.
        stop: Function that is asked between lenses; True leaves the rest for another call.
        **options: How the lenses are modelled.

    Returns:
        The models, a row each. The column `flags` says what is not to be trusted.

    Raises:
        ConfigError: A value is unknown, the data cannot be modelled, or the folder is in use.
        DataError: A file cannot be read.
        IncompleteError: Work stopped before its end; the same call continues it.

    Example:
        >>> models = fit("data/III", "fits/III", workers=0, n=1)
        >>> models.rows, models.units["theta_E"], models.pictures.images([0], "residual").shape
        (1, 'arcsec', (1, 1, 64, 64))
    """
    from lenssim.api.files_to_fit import dataset_of
    from lenssim.api.network_starts import starts_of
    from lenssim.api.progress import samples_bar
    from lenssim.notes import say
    from lenssim.sky.models.columns import column_units, columns_of
    from lenssim.sky.models.results import fit_dataset
    from lenssim.sky.models.work import Work

    check_workers(workers)
    request = parse_request(FitRequest, options)
    source = dataset_of(data, Path(out), request)
    starts = starts_of(request.start, source)
    with samples_bar("fitting") as report:
        count = _workers(workers, source, request)
        work = Work(count, report, say, stop)
        table = fit_dataset(Path(out), source, request, work, starts)
    models = Models(table, column_units(columns_of(request)))
    models.folder = Path(out)
    return models


def _workers(workers: int | None, source: ShardDataset, request: FitRequest) -> int:
    """Return the number of worker processes: as asked, or one a core if there is work for it."""
    if workers is not None:
        return workers
    from lenssim.data.generation.runners import default_workers

    count = min(len(source), request.n or len(source))
    return 0 if count < _WORTH_WORKERS else default_workers()
