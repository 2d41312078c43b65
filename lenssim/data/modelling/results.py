"""The results of a fit: its folder, from the data set of models to the page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lenssim.data.generation.building import Stop
from lenssim.data.generation.progress import Progress
from lenssim.data.modelling.columns import columns_of
from lenssim.data.modelling.documents import write_documents
from lenssim.data.modelling.lenses import Lenses
from lenssim.data.modelling.modelling import model_dataset
from lenssim.data.modelling.page import write_page
from lenssim.data.modelling.request import FitRequest
from lenssim.data.modelling.table import model_table, write_covariances, write_table
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.locations import check_apart

__all__ = ["PICTURES", "fit_dataset"]

PICTURES = "pictures"  # the data set of models, in the folder of a fit


def fit_dataset(
    folder: Path,
    dataset: ShardDataset,
    request: FitRequest,
    *,
    workers: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Callable[[str], None] = lambda text: None,
    stop: Stop = lambda: False,
) -> dict[str, list[Any]]:
    """Model the lenses of a data set, and write table, covariances, documents and page.

    Args:
        folder: The folder of the fit.
        dataset: The data set whose lenses are modelled.
        request: How they are modelled.
        workers: Processes of dask; 0: this one.
        report: Is told of the progress.
        note: Hears of workers that do not fit into memory.
        stop: Whether to begin no further shard.

    Returns:
        The table of models, by column.

    Raises:
        ConfigError: The data set cannot be modelled, or the folder holds something else
            or lies in the data set.
        IncompleteError: Work stopped before its end; the same call continues it.
    """
    check_apart(dataset.location, folder)
    model_dataset(
        folder / PICTURES,
        dataset,
        request,
        workers=workers,
        report=report,
        note=note,
        stop=stop,
    )
    models = ShardDataset(folder / PICTURES)
    table = model_table(models, columns_of(request))
    write_table(folder, table)
    write_covariances(folder, models)
    write_documents(folder, models, Lenses(dataset, request))
    write_page(folder, models, table, f"Models of {dataset.name}")
    return table
