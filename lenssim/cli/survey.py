"""`lenssim survey`: the lenses that a survey of the sky will see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.model_command import add_command
from lenssim.cli.options import Json
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.sky.surveys.request import SurveyRequest

__all__ = ["register"]

_Name = Annotated[
    str,
    typer.Argument(
        metavar="SURVEY",
        help="euclid, euclid-q1, rubin, roman, des, or the path of a YAML file.",
    ),
]
_Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of catalogue, images and page.")
]
_Workers = Annotated[
    int | None,
    typer.Option(help="Worker processes that make the images; 0 works in this one."),
]
_Cluster = Annotated[
    Path | None,
    typer.Option(help="YAML file of a batch queue, whose jobs make the images."),
]
_Scheduler = Annotated[
    str | None,
    typer.Option(help="Address of a dask scheduler, whose workers make the images."),
]
_Found = Annotated[
    bool,
    typer.Option("--found", help="Keep the lenses that are found: the default."),
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    add_command(app, survey, _request)


def _request() -> type[SurveyRequest]:
    from lenssim.sky.surveys.request import SurveyRequest

    return SurveyRequest


def survey(
    name: _Name,
    out: _Out,
    workers: _Workers = None,
    cluster: _Cluster = None,
    scheduler: _Scheduler = None,
    found: _Found = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Draw the lenses of a survey: catalogue, rates, images, completeness, page."""
    from dataclasses import asdict
    from json import dumps

    from lenssim.api.surveys import survey as draw_survey
    from lenssim.cli.stop import stoppable
    from lenssim.errors import ConfigError

    if found and options.get("all"):
        raise ConfigError(
            "--found and --all exclude each other",
            code="options-conflict",
            options=("found", "all"),
        )
    with stoppable() as stop:
        lenses = draw_survey(
            name,
            out,
            workers=workers,
            cluster=cluster,
            scheduler=scheduler,
            stop=stop,
            **options,
        )
    if json:
        rates = [
            {**asdict(rate), "density": rate.density, "error": rate.error}
            for rate in lenses.rates
        ]
        print(dumps({"lenses": lenses.rows, "rates": rates, "seen": lenses.seen}))
        return
    for rate in lenses.rates:
        print(rate)
    if lenses.seen is not None:
        print(f"substructure would be seen in {lenses.seen} of {lenses.rows} lenses")
    print(f"catalogue {out / 'catalogue.csv'}, page {out / 'survey.html'}")
    if not options.get("catalogue_only"):
        print(f"next: {command('show', out)}")
