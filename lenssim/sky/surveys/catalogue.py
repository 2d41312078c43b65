"""Catalogues: a survey's sky is drawn part by part, and what the rule accepts is kept."""

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import canonical_json, make_folder, write
from lenssim.data.format.manifest import CATALOGUE, SURVEY
from lenssim.errors import ConfigError, IncompleteError
from lenssim.formats.tables import read_table, table_text
from lenssim.machine import available_cores
from lenssim.simulate.survey import Survey, detect
from lenssim.sky.surveys.request import SurveyRequest
from lenssim.sky.surveys.tally import Tally

__all__ = ["draw_catalogue"]

PARTS = "survey-parts"
_DEGREES = 10  # square degrees of a part
_OF_THE_SKY = {"area", "n", "all", "seed", "split"}  # fields of a request

Report = Callable[[int, int], None]
Stop = Callable[[], bool]


def draw_catalogue(
    folder: Path, survey: Survey, request: SurveyRequest, *, report: Report, stop: Stop
) -> dict[str, Any]:
    """Draw the sky of a survey, and write the catalogue of its lenses.

    The sky is drawn in parts of ten square degrees, whose lenses are written at once. So the
    memory does not grow with the area, and what was interrupted goes on.

    Args:
        folder: Where to write `catalogue.csv` and `survey.json`.
        survey: The survey, with its rule.
        request: How much is drawn, and which lenses are kept.
        report: Function of the square degrees that are drawn and those that are wanted; of lenses,
            where a number of them is wanted.
        stop: Function that is asked between parts; True leaves the rest for another call.

    Returns:
        The document of `survey.json`.

    Raises:
        ConfigError: The folder holds another survey, or the sky has no lens that is kept.
        IncompleteError: Work stopped before its end.
    """
    survey.check_area(request.area or survey.area)
    identity = _identity(survey, request)
    if (folder / SURVEY).exists():
        return _finished(folder, identity)
    parts = folder / PARTS
    make_folder(parts)
    _claim(parts, identity)
    tables, tally, area = _drawn(parts, survey, request, report, stop)
    catalogue = {
        name: np.concatenate([table[name] for table in tables]) for name in tables[0]
    }
    if not len(catalogue["theta_E"]):
        raise ConfigError(
            f"the rule {survey.rule} finds none of the {tally.ideal} ideal lenses on {area:g} "
            "square degrees: take a larger area, another rule, or --all",
            code="no-survey-lenses",
            area=area,
        )
    write(folder / CATALOGUE, table_text(catalogue).encode())
    document = {**identity, "drawn_area": area, **tally.document()}
    write(folder / SURVEY, json.dumps(document, indent=1).encode())
    shutil.rmtree(parts, ignore_errors=True)
    return document


def _identity(survey: Survey, request: SurveyRequest) -> dict[str, Any]:
    """Return the document of what the catalogue depends on."""
    return {
        "format": "lenssim-survey/1",
        "survey": survey.model_dump(mode="json"),
        **request.model_dump(mode="json", include=_OF_THE_SKY),
    }


def _finished(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a finished catalogue; refuse that of another one."""
    document: dict[str, Any] = json.loads((folder / SURVEY).read_text())
    stored = {name: document.get(name) for name in identity}
    if canonical_json(stored) != canonical_json(identity):
        raise _another(folder)
    return document


def _claim(parts: Path, identity: dict[str, Any]) -> None:
    """Write whose parts these are; refuse a folder with those of another survey."""
    path = parts / "identity.json"
    text = canonical_json(identity)
    if path.exists() and path.read_bytes() != text:
        raise _another(parts.parent)
    write(path, text)


def _another(folder: Path) -> ConfigError:
    return ConfigError(
        f"{folder} holds another survey, or another part of its sky: choose another folder",
        code="folder-in-use",
        folder=folder,
    )


def _drawn(
    parts: Path, survey: Survey, request: SurveyRequest, report: Report, stop: Stop
) -> tuple[list[dict[str, np.ndarray]], Tally, float]:
    """Return the tables of all parts, the tally of all lenses, and the area."""
    area = request.area or survey.area
    tables: list[dict[str, np.ndarray]] = []
    tally = Tally()
    for first in range(0, int(np.ceil(area)), _DEGREES):
        _check_stop(stop, first)
        last = min(first + _DEGREES, area)
        table, part_tally = _part(parts, survey, request, first, last)
        missing = _missing(request, tables)
        if missing is not None and len(table["theta_E"]) >= missing:
            last = float(np.nextafter(table["drawn_area"][missing - 1], np.inf))
            table, part_tally = _simulated(survey, request, first, last)
        tables.append(table)
        tally.merge(part_tally)
        if request.n is None:
            report(int(last), int(np.ceil(area)))
            continue
        report(request.n - (_missing(request, tables) or 0), request.n)
        if not _missing(request, tables):
            return tables, tally, last
    if missing := _missing(request, tables):
        raise ConfigError(
            f"the whole survey of {survey.area:g} square degrees has {missing} lenses less "
            f"than {request.n}",
            code="no-survey-lenses",
            n=request.n,
        )
    return tables, tally, area


def _check_stop(stop: Stop, degrees: int) -> None:
    if stop():
        raise IncompleteError(
            f"{degrees} square degrees are drawn; the same command goes on from there",
            code="survey-unfinished",
        )


def _missing(request: SurveyRequest, tables: list[dict[str, np.ndarray]]) -> int | None:
    """Return how many lenses are still to be drawn; None if an area is."""
    if request.n is None:
        return None
    return request.n - sum(len(table["theta_E"]) for table in tables)


def _part(
    parts: Path, survey: Survey, request: SurveyRequest, first: int, last: float
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the table and the tally of a part, from its files if they are there."""
    name = f"{first:06d}"
    table_file = parts / f"{name}.csv"
    tally_file = parts / f"{name}.json"
    if tally_file.exists():
        stored: dict[str, Any] = json.loads(tally_file.read_text())
        if stored["found"] or request.all:
            return read_table(table_file), stored
    table, tally = _simulated(survey, request, first, last)
    write(table_file, table_text(table).encode(), durable=False)
    write(tally_file, json.dumps(tally).encode(), durable=False)
    return table, tally


def _simulated(
    survey: Survey, request: SurveyRequest, first: int, last: float
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Draw a part of the sky; return the table of the lenses that are kept, and the tally of all."""
    tally = Tally()
    selected: list[dict[str, np.ndarray]] = []
    degrees = survey.draw_degrees(last, seed=request.seed, split=request.split, first=first)
    for lenses in _detected(survey, degrees):
        accepted = survey.found(lenses)
        tally.add(lenses, accepted)
        lenses["found"] = accepted.astype(np.float64)
        rows = accepted | request.all
        selected.append({name: column[rows] for name, column in lenses.items()})
    names = selected[0]
    table = {name: np.concatenate([part[name] for part in selected]) for name in names}
    return table, tally.document()


def _detected(
    survey: Survey, degrees: Iterator[dict[str, np.ndarray]]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield lenses with the columns of their detection, which threads compute ahead."""

    def detected(lenses: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return lenses | detect(lenses, survey.detection_camera, survey.cosmology)

    threads = available_cores()
    ahead: deque[Future[dict[str, np.ndarray]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for lenses in degrees:
            ahead.append(pool.submit(detected, lenses))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
