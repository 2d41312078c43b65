"""`lenssim completeness`: which lenses of a survey a network finds."""

from pathlib import Path
from typing import Annotated

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

__all__ = ["register"]

_Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]
_Survey = Annotated[
    str, typer.Option("--survey", metavar="D", help="Folder that lenssim survey made.")
]
_ClassName = Annotated[
    str | None,
    typer.Option("--class", help="The class that stands for a lens; default: lens."),
]
_Threshold = Annotated[
    float, typer.Option(help="Smallest probability of a lens that is found.")
]
_Within = Annotated[
    float, typer.Option(help="Largest error of theta_E, as a share of the truth.")
]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder; default: completeness/ in the run's."),
]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(completeness)


def completeness(
    run: _Run,
    survey: _Survey,
    class_name: _ClassName = None,
    threshold: _Threshold = 0.5,
    within: _Within = 0.1,
    out: _Out = None,
    device: _Device = "auto",
    json: Json = False,
) -> None:
    """Say which lenses of a survey a network finds, by radius, signal to noise and redshift."""
    from json import dumps

    from lenssim.api.completeness import completeness as measure
    from lenssim.cli.table import print_table

    table = measure(
        run,
        survey,
        class_name=class_name,
        threshold=threshold,
        within=within,
        out=out,
        device=device,
    )
    rows = [table.row(number) for number in range(table.rows)]
    if json:
        print(dumps(rows))
        return
    print(table.title)
    cells = [[_cell(value) for value in row.values()] for row in rows]
    print_table(list(table), cells, right=list(table)[1:])
    print(f"figure {(out or run / 'completeness') / 'completeness.png'}")
    print(f"next: {command('evaluate', run, '--data', survey)}")


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
