"""The results of a fit: its folder, from the data set of models to the page."""

from pathlib import Path
from typing import Any

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.locations import check_apart
from lenssim.sky.models.columns import columns_of
from lenssim.sky.models.documents import write_documents
from lenssim.sky.models.guesses import guessed_starts
from lenssim.sky.models.lenses import Lenses, lens_names
from lenssim.sky.models.modelling import model_dataset
from lenssim.sky.models.page import PAGE, write_page
from lenssim.sky.models.request import FitRequest
from lenssim.sky.models.starts import NO_STARTS, Starts
from lenssim.sky.models.table import (
    TABLE,
    model_table,
    text_of,
    write_covariances,
    write_table,
)
from lenssim.sky.models.work import SILENT_WORK, Work

__all__ = ["PICTURES", "fit_dataset"]

PICTURES = "pictures"  # the data set of models, in the folder of a fit


def fit_dataset(
    folder: Path,
    dataset: ShardDataset,
    request: FitRequest,
    work: Work = SILENT_WORK,
    starts: Starts = NO_STARTS,
) -> dict[str, list[Any]]:
    """Model the lenses of a data set, and write table, covariances, documents and page.

    Args:
        folder: The folder of the fit.
        dataset: The data set whose lenses are modelled.
        request: How they are modelled.
        work: How it is carried out.
        starts: Further starts, besides the request's guesses.

    Returns:
        The table of models, by column.

    Raises:
        ConfigError: The data set cannot be modelled, or the folder holds something else
            or lies in the data set.
        DataError: The guesses cannot be used.
        IncompleteError: Work stopped before its end; the same call continues it.
    """
    check_apart(dataset.location, folder)
    if request.guesses is not None:
        starts = starts.joined(guessed_starts(request.guesses, lens_names(dataset)))
    lenses = Lenses(dataset, request)
    if lenses.band_words:
        work.note(f"{lenses.band_words} is fitted; --band names another")
    pictures = folder / PICTURES
    model_dataset(pictures, lenses, starts, work)
    models = ShardDataset(pictures)
    table = model_table(models, columns_of(request))
    if not is_written(folder, table):
        _write(folder, models, lenses, table)
    return table


def is_written(folder: Path, table: dict[str, list[Any]]) -> bool:
    """Return whether a folder holds a table and all that follows from it.

    A repeated fit then writes nothing, so it may lie on a disk that nobody can write to.

    Args:
        folder: The folder of the fit.
        table: The table of models.
    """
    path = folder / TABLE
    # the page is written last
    return (
        (folder / PAGE).exists() and path.exists() and path.read_bytes() == text_of(table)
    )


def _write(
    folder: Path, models: ShardDataset, lenses: Lenses, table: dict[str, list[Any]]
) -> None:
    (folder / PAGE).unlink(missing_ok=True)
    write_table(folder, table)
    write_covariances(folder, models)
    write_documents(folder, models, lenses)
    title = f"Models of {lenses.dataset.name}"
    if lenses.band_words:
        title += f", {lenses.band_words}"
    write_page(folder, models, table, title)
