"""The search of wide fields from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Unpack

from lenssim.api.arguments import checked
from lenssim.api.fields import ExtractOptions, field_paths
from lenssim.api.options import parse_request
from lenssim.api.run import Run, as_run
from lenssim.api.signatures import takes_options
from lenssim.api.table import Table
from lenssim.api.workers import check_workers
from lenssim.learn.evaluation.search.request import OF_THE_RUN, SearchRequest

__all__ = ["Candidates", "SearchOptions", "search"]

Stop = Callable[[], bool]


class SearchOptions(ExtractOptions, total=False):
    """Options of a search: fields of `SearchRequest`."""

    top: int | None


class Candidates(Table):
    """The galaxies of a field, the most likely lens first.

    Attributes:
        folder: The folder of the search.

    Example:
        >>> Candidates({"name": ["J1"], "score": [0.9]}).rows
        1
    """

    folder: Path

    @property
    def page(self) -> Path:
        """The page on which a person looks through the best stamps and marks them."""
        return self.folder / "index.html"


@checked
@takes_options(SearchRequest, types=SearchOptions, without=OF_THE_RUN)
def search(
    field: Path | str | Iterable[Path | str],
    run: Run | Path | str,
    out: Path | str,
    *,
    others: Sequence[Run | Path | str] | None = None,
    tta: bool = False,
    device: str = "auto",
    workers: int = 0,
    stop: Stop = lambda: False,
    **options: Unpack[SearchOptions],
) -> Candidates:
    """Search a wide field for lenses; the same call continues what was interrupted.

    The folder holds the stamps as a data set, `catalogue.csv` and the page `index.html`.

    Args:
        field: The FITS file of the field, or the files of its bands, noise maps, masks, PSFs.
        run: A run of the task find, or of classify with a class lens; or its folder.
        out: Folder of the search.
        others: Other runs; the answers of all are averaged.
        tta: Whether to average over the symmetries that the run was trained with.
        device: auto, cpu, cuda or mps.
        workers: Worker processes that extract; 0 works in this one.
        stop: Function that is asked between tiles and shards; True leaves the rest for
            another call.
        **options: How galaxies are found and cut out, and how many the page shows.

    Returns:
        The galaxies, the best score first. None for a field without galaxies.

    Raises:
        ConfigError: The run does not look for lenses, or the folder holds something else.
        DataError: A file cannot be used, or the field has other bands or coarser pixels than
            the images of the training.
        IncompleteError: Work stopped before its end; the same call continues it.

    Example:
        >>> from lenssim.errors import ConfigError
        >>> try:
        ...     search("field.fits", "runs/sie", "found")
        ... except ConfigError as error:
        ...     print(error.code)
        run-not-finder
    """
    from lenssim.api.progress import samples_bar
    from lenssim.learn.compute.device import pick_device
    from lenssim.learn.evaluation.search.search import Search, search_field
    from lenssim.notes import say

    check_workers(workers)
    members = [as_run(other).trained for other in others or ()]
    question = Search(
        folder=Path(out),
        paths=field_paths(field),
        run=as_run(run).trained,
        request=parse_request(SearchRequest, options),
        others=members,
        tta=tta,
        device=pick_device(device),
        workers=workers,
    )
    with samples_bar("searching") as report:
        table = search_field(question, report=report, note=say, stop=stop)
    units = {"ra": "deg", "dec": "deg", "x": "pixel", "y": "pixel"}
    candidates = Candidates(table, {name: units[name] for name in table if name in units})
    candidates.folder = Path(out)
    return candidates
