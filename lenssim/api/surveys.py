"""Surveys from Python: the lenses that a survey of the sky will see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.options import parse_request
from lenssim.api.signatures import takes_options
from lenssim.api.table import Table
from lenssim.api.workers import Workers
from lenssim.sky.surveys.request import SurveyRequest

if TYPE_CHECKING:
    import numpy as np

    from lenssim.simulate.survey import Survey
    from lenssim.sky.surveys.summary import Rate

__all__ = ["Lenses", "SurveyOptions", "survey"]

Stop = Callable[[], bool]
_SEEN = 25.0  # delta chi2 of substructure that would be seen: five sigma
_SHOWN = 48  # images of the page


class SurveyOptions(TypedDict, total=False):
    """Options of a survey: fields of `SurveyRequest`."""

    area: float | None
    n: int | None
    all: bool | None
    rule: str | None
    dark_matter: str | Sequence[str] | None
    seed: int | None
    split: str | None
    double_sources: bool | None
    noise: str | None
    detectability: bool | None
    catalogue_only: bool | None


class Lenses(Table):
    """The catalogue of a survey's lenses, a row each.

    Attributes:
        folder: The folder of the survey.
        rates: Lenses a square degree: ideal, found, and found with two sources.
        seen: How many of the lenses would show their substructure, if that was asked for.

    Example:
        >>> lenses = survey("euclid", "surveys/euclid", area=0.3, seed=1, workers=0)
        >>> lenses.rates[0].name, lenses["theta_E"].max() < 4
        ('ideal lenses', np.True_)
    """

    folder: Path
    rates: list[Rate]
    seen: int | None = None

    @property
    def data(self) -> Dataset:
        """The data set of their images."""
        return Dataset(self.folder)


@checked
@takes_options(SurveyRequest, types=SurveyOptions)
def survey(
    name: Path | str,
    out: Path | str,
    *,
    workers: int | None = None,
    cluster: Path | str | None = None,
    scheduler: str | None = None,
    stop: Stop = lambda: False,
    **options: Unpack[SurveyOptions],
) -> Lenses:
    """Draw the lenses of a survey and what it sees of them; the same call goes on.

    Args:
        name: Survey: euclid, euclid-q1, rubin, roman, des, or the path of a YAML file.
        out: Folder of the catalogue, the images and the page.
        workers: Worker processes that make the images, as in `generate`.
        cluster: YAML file of a batch queue, whose jobs make the images.
        scheduler: Address of a dask scheduler, whose workers make the images.
        stop: Function that is asked between parts; True leaves the rest for another call.
        **options: How much of the sky is drawn, and which lenses are kept.

    Returns:
        The catalogue. Its attribute `rates` has the lenses a square degree, with errors.

    Raises:
        ConfigError: A value is unknown, no lens is found, or the folder is in use.
        IncompleteError: Work stopped before its end; the same call continues it.

    Example:
        >>> lenses = survey("euclid", "surveys/euclid", area=0.3, seed=1, workers=0)
        >>> len(lenses.data) == lenses.rows
        True
    """
    from lenssim.api.progress import samples_bar
    from lenssim.data.format.manifest import CATALOGUE
    from lenssim.data.generation.progress import Progress
    from lenssim.formats.tables import read_table
    from lenssim.sky.surveys.catalogue import draw_catalogue
    from lenssim.sky.surveys.tables import UNITS

    folder = Path(out)
    place = Workers(workers, cluster, scheduler)
    place.check()
    request = parse_request(SurveyRequest, options)
    model = _survey(name, request)
    with samples_bar("drawing the sky") as bar:
        document = draw_catalogue(
            folder,
            model,
            request,
            report=lambda done, total: bar(Progress(done, total, 0)),
            stop=stop,
        )
    lenses = Lenses(read_table(folder / CATALOGUE), UNITS)
    lenses.folder = folder
    data = None
    if not request.catalogue_only:
        data = _images(folder, model, request, lenses.rows, place, stop)
    _conclude(lenses, document, data, request)
    return lenses


def _survey(name: Path | str, request: SurveyRequest) -> Survey:
    """Return the survey, with the rule that was asked for."""
    from lenssim.simulate.survey import load_survey
    from lenssim.simulate.survey.rules import check_rule

    model = load_survey(str(name))
    if request.rule is None:
        return model
    check_rule(request.rule)
    return model.model_copy(update={"rule": request.rule})


def _images(
    folder: Path,
    model: Survey,
    request: SurveyRequest,
    count: int,
    place: Workers,
    stop: Stop,
) -> Dataset:
    """Return the data set of the images of a catalogue."""
    from lenssim.api.generation import generate
    from lenssim.data.format.manifest import CATALOGUE
    from lenssim.simulate.survey.preset import survey_preset

    preset = survey_preset(
        model,
        folder / CATALOGUE,
        split=request.split,
        dark_matter=request.dark_matter or (),
        double_sources=request.double_sources,
    )
    return generate(
        preset,
        count,
        folder,
        workers=place.count,
        cluster=place.cluster,
        scheduler=place.scheduler,
        stop=stop,
        seed=request.seed,
        split=request.split,
        noise=request.noise,
        detectability=request.detectability,
    )


def _conclude(
    lenses: Lenses,
    document: dict[str, Any],
    data: Dataset | None,
    request: SurveyRequest,
) -> None:
    """Write the page, and note the rates of lenses."""
    from lenssim.sky.surveys.page import write_page
    from lenssim.sky.surveys.summary import rates

    lenses.rates = rates(document)
    remarks = []
    if data is not None and request.detectability:
        lenses.seen = int((data.params["delta_chi2"] > _SEEN).sum())
        remarks.append(
            f"the substructure of {lenses.seen} of {lenses.rows} lenses changes their image by a "
            f"delta chi2 above {_SEEN:g}"
        )
    images = None
    if data is not None:
        images = data.images(_clearest(lenses["snr"]))
    write_page(lenses.folder, document, lenses, lenses.rates, images, remarks)


def _clearest(snr: np.ndarray) -> np.ndarray:
    """Return the rows (K,) of the lenses of the largest signal to noise."""
    import numpy as np

    return np.argsort(-snr, kind="stable")[:_SHOWN]
