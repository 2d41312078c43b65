"""`lenssim run`: a recipe from data to report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenssim.cli.options import Device, Json
from lenssim.cli.stop import resumable
from lenssim.commands import command, quoted

if TYPE_CHECKING:
    from lenssim.learn.report.table import Row

__all__ = ["register"]

_Recipe = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE", help="Name of a recipe, such as quickstart, or a YAML file."
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Folder for data, runs and report. Default: runs/<recipe>."
    ),
]
_Workers = Annotated[
    int | None,
    typer.Option(help="Processes that simulate. Default: as many as pay for their start."),
]
_Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        help="Trainings at a time, sharing the GPU or the cores; evaluations too.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(name="run")(run_recipe)


def run_recipe(
    recipe: _Recipe,
    out: _Out = None,
    workers: _Workers = None,
    jobs: _Jobs = 1,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Generate, train, evaluate and report as a recipe says; repeating it does only what is left to do."""
    from dataclasses import asdict
    from json import dumps

    from lenssim.api.recipes import recipe_folder, run

    folder = recipe_folder(recipe, out)
    repeat: list[object] = ["run", recipe, "--out", folder]
    if jobs > 1:
        repeat += ["--jobs", jobs]
    with resumable(command(*repeat)):
        report = run(recipe, folder, workers=workers, jobs=jobs, device=device)
    if json:
        print(dumps([asdict(row) for row in report.evaluations]))
        return
    _print_rows(report.evaluations)
    print(f"next: open {quoted(folder / 'report.html')}")


def _print_rows(rows: "list[Row]") -> None:
    """Print what a first look needs; the report has the rest."""
    from lenssim.cli.table import print_table
    from lenssim.learn.report.verdict import verdict

    cells = [row.brief_cells for row in rows]
    names = list(dict.fromkeys(name for line in cells for name in line))
    lines = [[line.get(name, "") for name in names] for line in cells]
    print_table(names, lines, right=names[2:])
    print()
    for sentence in verdict(rows):
        print(sentence)
