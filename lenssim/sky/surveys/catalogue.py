"""Catalogues: a survey's sky is drawn part by part, and what the rule accepts is kept."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import canonical_json, make_folder, write
from lenssim.data.format.manifest import CATALOGUE, SURVEY
from lenssim.errors import ConfigError, IncompleteError
from lenssim.simulate.survey import Survey
from lenssim.sky.surveys.parts import Part, Parts
from lenssim.sky.surveys.request import SurveyRequest
from lenssim.sky.surveys.tables import join_tables, write_fits
from lenssim.sky.surveys.tally import Tally

__all__ = ["FITS_CATALOGUE", "draw_catalogue"]

FITS_CATALOGUE = "catalogue.fits"
PARTS = "survey-parts"
_DEGREES = 10  # square degrees of a part
_HOPELESS = 100  # square degrees without a lens that is kept, where a number is wanted
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
        folder: Where to write `catalogue.csv`, `catalogue.fits` and `survey.json`.
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
    survey.check_lenses()
    identity = _identity(survey, request)
    if (folder / SURVEY).exists():
        return _finished(folder, identity)
    parts = Parts(folder / PARTS, survey, request)
    make_folder(parts.folder)
    _claim(parts.folder, identity)
    try:
        sky_parts, area = _sky_parts(parts, report, stop)
        _check_kept(sky_parts, survey, area)
    except ConfigError:  # no repetition would find lenses
        _remove(parts.folder)
        raise
    join_tables(folder / CATALOGUE, [part.file for part in sky_parts])
    write_fits(folder / FITS_CATALOGUE, folder / CATALOGUE)
    tally = _merged(sky_parts)
    document = {**identity, "drawn_area": area, **tally.document()}
    write(folder / SURVEY, json.dumps(document, indent=1).encode())
    shutil.rmtree(parts.folder, ignore_errors=True)
    return document


def _identity(survey: Survey, request: SurveyRequest) -> dict[str, Any]:
    """Return the document of what the catalogue depends on."""
    identity = {
        "format": "lenssim-survey/1",
        "survey": survey.model_dump(mode="json"),
        **request.model_dump(mode="json", include=_OF_THE_SKY),
    }
    if request.double_sources:  # documents without it stay what they were
        identity["double_sources"] = True
    return identity


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


def _remove(parts: Path) -> None:
    """Remove the folder of parts, and the survey's if it holds nothing else."""
    shutil.rmtree(parts, ignore_errors=True)
    with suppress(OSError):
        parts.parent.rmdir()


def _sky_parts(parts: Parts, report: Report, stop: Stop) -> tuple[list[Part], float]:
    """Return all parts, and the area that they cover."""
    request = parts.request
    area = request.area or parts.survey.area
    sky_parts: list[Part] = []
    for first in range(0, int(np.ceil(area)), _DEGREES):
        _check_stop(stop, first)
        missing = _missing(request, sky_parts)
        part, last = parts.part(first, min(first + _DEGREES, area), missing)
        sky_parts.append(part)
        if request.n is None:
            report(int(last), int(np.ceil(area)))
            continue
        missing = _missing(request, sky_parts) or 0
        report(request.n - missing, request.n)
        if not missing:
            return sky_parts, last
        if missing == request.n and last >= _HOPELESS:
            return sky_parts, last
    if missing := _missing(request, sky_parts):
        raise ConfigError(
            f"the whole survey of {area:g} square degrees has {missing} lenses less "
            f"than {request.n}",
            code="no-survey-lenses",
            n=request.n,
        )
    return sky_parts, area


def _check_stop(stop: Stop, degrees: int) -> None:
    if stop():
        raise IncompleteError(
            f"{degrees} square degrees are drawn; the same command goes on from there",
            code="survey-unfinished",
        )


def _missing(request: SurveyRequest, sky_parts: list[Part]) -> int | None:
    """Return how many lenses are still to be drawn; None if an area is."""
    if request.n is None:
        return None
    return request.n - sum(part.rows for part in sky_parts)


def _merged(sky_parts: list[Part]) -> Tally:
    """Return the tally of all parts."""
    tally = Tally()
    for part in sky_parts:
        tally.merge(part.tally)
    return tally


def _check_kept(sky_parts: list[Part], survey: Survey, area: float) -> None:
    """Refuse a sky without a lens that is kept."""
    if any(part.rows for part in sky_parts):
        return
    ideal = sum(part.tally["ideal"] for part in sky_parts)
    reason = f"the rule {survey.rule} finds none of the {ideal} ideal lenses"
    if not ideal:
        mean = survey.ideal_density * area
        reason = f"of {mean:.2g} ideal lenses in the mean there is none"
    raise ConfigError(
        f"{reason} on {area:g} square degrees: take a larger area, another rule, or --all",
        code="no-survey-lenses",
        area=area,
    )
