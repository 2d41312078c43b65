"""`lenssim fit`: models of many lenses, from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.model_command import add_command
from lenssim.cli.options import Json
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.sky.models.request import FitRequest

__all__ = ["register"]

_Data = Annotated[
    list[str],
    typer.Argument(
        metavar="D|DIR|FILE...",
        help="Folder of a data set, or FITS files and folders of them, with noise maps and PSFs.",
    ),
]
_Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the fit.")]
_Workers = Annotated[
    int | None,
    typer.Option(
        help="Worker processes; 0 works in this one. Default: one a core, none for fewer than 32 lenses."
    ),
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    add_command(app, fit, _request)


def _request() -> type[FitRequest]:
    from lenssim.sky.models.request import FitRequest

    return FitRequest


def fit(
    data: _Data,
    out: _Out,
    workers: _Workers = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Model the lenses of a data set from scratch: table, pictures, COOLEST documents, page."""
    from json import dumps

    from lenssim.api.modelling import fit as fit_data
    from lenssim.cli.stop import stoppable

    with stoppable() as stop:
        models = fit_data(data, out, workers=workers, stop=stop, **options)
    if json:
        rows = [models.row(number) for number in range(models.rows)]
        print(dumps([_finite(row) for row in rows]))
        return
    lenses = "lens" if models.rows == 1 else "lenses"
    print(f"{out}: {models.rows} {lenses} modelled, {models.flagged} with flags")
    print(f"table {out / 'models.csv'}, page {out / 'index.html'}")
    print(f"next: {command('show', out / 'pictures', '--picture', 'residual')}")


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without the numbers that are not known."""
    return {name: value for name, value in row.items() if value == value}
