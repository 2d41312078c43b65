"""The search: from a wide field and a run to scores, a catalogue and a page, which resumes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import make_folder, read_json, write, write_json
from lenssim.data.generation.progress import Progress
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.evaluation.search.page import write_page
from lenssim.learn.evaluation.search.request import SearchRequest
from lenssim.learn.evaluation.search.scores import check_finder, scored
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.runs.hashes import file_sha256
from lenssim.learn.runs.run import Run
from lenssim.sky.fields.catalogue import CATALOGUE, csv_bytes
from lenssim.sky.fields.extraction import extract_field
from lenssim.sky.fields.field import open_field
from lenssim.sky.fields.files import FieldFiles, field_files
from lenssim.sky.fields.request import ExtractRequest

__all__ = ["STAMPS", "Search", "search_field"]

STAMPS = "stamps"  # the data set, in the folder of a search
_RECORD = "search.json"
_TOLERANCE = 0.01  # of a pixel scale
_COARSEST = 1.5  # pixels of the field over those of the run: beyond it details are missing


@dataclass(frozen=True)
class Search:
    """Who searches, where, and how.

    Attributes:
        folder: The folder of the search.
        paths: FITS files of the field.
        run: The run.
        others: Other runs; the answers of all are averaged.
        request: How the field is searched.
        tta: Whether each stamp is shown in all symmetries of the training.
        device: Where the networks are computed.
        workers: Processes that extract; 0: this one.
    """

    folder: Path
    paths: Sequence[Path]
    run: Run
    request: SearchRequest
    others: Sequence[Run] = ()
    tta: bool = False
    device: Any = "cpu"
    workers: int = 0


def search_field(
    search: Search,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Callable[[str], None] = lambda text: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, list[Any]]:
    """Search a field for lenses, or go on with it.

    Args:
        search: Who searches, where, and how.
        report: Is told of the progress.
        note: Is told what was found, resampled and left out.
        stop: Whether to begin no further tile or shard.

    Returns:
        The catalogue by column, the best score first; no rows for a field without galaxies.

    Raises:
        ConfigError: The run does not look for lenses, or the folder holds another search.
        DataError: A file cannot be used, or the field does not fit the run.
        IncompleteError: Work stopped before its end; the same call continues it.
    """
    check_finder(search.run)
    extraction = _extraction(search, note)
    _begin(search, extraction)
    folder = search.folder / STAMPS
    listeners: dict[str, Any] = {"report": report, "note": note, "stop": stop}
    try:
        extract_field(folder, search.paths, extraction, workers=search.workers, **listeners)
    except DataError as error:
        if error.code != "no-objects":
            raise
        note(str(error))
        return _written(search, _empty(), None)
    stamps = ShardDataset(folder)
    columns = scored(
        search.run,
        stamps,
        search.folder,
        others=search.others,
        tta=search.tta,
        device=search.device,
        report=lambda count, total: report(Progress(count, total, 0)),
        stop=stop,
    )
    return _written(search, _ranked(stamps, columns), stamps)


def _extraction(search: Search, note: Callable[[str], None]) -> ExtractRequest:
    """Return the extraction that gives stamps as the run takes them.

    Raises:
        DataError: The field has other bands than the run, or much larger pixels.
    """
    images = search.run.record.images
    bands, _, num_pix = images.shape
    request = search.request.extraction(num_pix, None, images.bands)
    files = field_files(search.paths, request)
    if len(files.bands) != bands:
        raise _other_bands(files, images)
    with open_field(files.bands, request) as field:
        scale = field.pixel_scale
    expected = images.pixel_scale
    if expected is None or abs(scale / expected - 1) <= _TOLERANCE:
        return request
    if scale > _COARSEST * expected:
        raise _too_coarse(scale, expected)
    note(
        f"stamps are resampled from the field's pixels of {scale:.4g} arcsec to those of the "
        f"run, {expected:.4g}"
    )
    return search.request.extraction(num_pix, expected, images.bands)


def _too_coarse(scale: float, expected: float) -> DataError:
    return DataError(
        f"the field's pixels are {scale:.4g} arcsec wide, and those of the run "
        f"{expected:.4g}: it was trained on details that the field does not show; give a run "
        "that was trained on such pixels",
        code="pixel-scale-differs",
        pixel_scale=scale,
        expected=expected,
    )


def _other_bands(files: FieldFiles, images: ImageDescription) -> DataError:
    names = ", ".join(band.name or "one without a name" for band in files.bands)
    return DataError(
        f"the run takes {images}, and the field has {len(files.bands)} bands ({names}); "
        "give the files of the run's bands, and choose them by --bands in its order",
        code="bands-differ",
        bands=[band.name for band in files.bands],
        expected=images.bands,
    )


def _begin(search: Search, extraction: ExtractRequest) -> None:
    """Write what is searched, or compare it with what is there.

    Raises:
        ConfigError: The folder holds another search, or something else.
    """
    folder = search.folder
    document = {
        "files": [path.name for path in search.paths],
        "runs": [file_sha256(run.best) for run in (search.run, *search.others)],
        "tta": search.tta,
        "options": extraction.config(),
    }
    path = folder / _RECORD
    problem = ""
    if path.exists():
        if read_json(path) != document:
            problem = "holds a search by other runs, of another field or with other options"
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problem = "is not empty and holds no search"
    if problem:
        raise ConfigError(
            f"{folder} {problem}; choose another --out", code="folder-in-use", folder=folder
        )
    make_folder(folder)
    write_json(path, document)


def _ranked(stamps: ShardDataset, columns: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """Return the catalogue, the best score first and unknown scores last."""
    score = np.nan_to_num(columns["score"], nan=-np.inf)
    order = np.argsort(-score, kind="stable")
    numbers = stamps.index[order].tolist()
    table: dict[str, list[Any]] = {
        "rank": list(range(1, len(order) + 1)),
        "name": [stamps.names.get(number, str(number)) for number in numbers],
        "number": numbers,
    }
    for name in ("ra", "dec"):
        if name in stamps.params:
            table[name] = stamps.params[name][order].tolist()
    table["score"] = columns["score"][order].tolist()
    table["novelty"] = columns["novelty"][order].tolist()
    for name, column in stamps.params.items():
        if name not in table:
            table[name] = np.asarray(column)[order].tolist()
    return table


def _empty() -> dict[str, list[Any]]:
    """Return the catalogue of a field without galaxies."""
    return {name: [] for name in ("rank", "name", "number", "ra", "dec", "score")}


def _written(
    search: Search, table: dict[str, list[Any]], stamps: ShardDataset | None
) -> dict[str, list[Any]]:
    """Write catalogue and page, and return the catalogue."""
    write(search.folder / CATALOGUE, csv_bytes(table))
    write_page(search.folder, table, stamps, search.request.top, search.paths[0].name)
    return table
