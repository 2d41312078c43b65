"""`lenssim run`: a recipe from data to report."""

from pathlib import Path
from typing import Annotated

import typer

from lenssim.cli.options import Device, Json
from lenssim.cli.stop import resumable
from lenssim.commands import command, quoted

__all__ = ["register"]
_Recipe = Annotated[
    Path,
    typer.Argument(metavar="RECIPE", help="YAML file such as pipelines/quickstart.yaml."),
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
    print(report.text)
    print(f"next: open {quoted(folder / 'report.html')}")
