"""`lenssim run`: a recipe from data to report."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lenssim.cli.options import Device, Json
from lenssim.cli.stop import resumable
from lenssim.commands import command, quoted

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(name="run")(run_recipe)


def run_recipe(
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE", help="YAML file such as pipelines/quickstart.yaml."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for data, runs and report. Default: runs/<recipe>."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that simulate. Default: as many as pay for their start."
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            help="Trainings at a time, sharing the GPU or the cores; evaluations too.",
        ),
    ] = 1,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Generate, train, evaluate and report as a recipe says; repeating it does only what is left to do."""
    from dataclasses import asdict
    from json import dumps

    from lenssim.cli.progress import samples_bar
    from lenssim.errors import ConfigError
    from lenssim.learn.recipes.recipe import load_recipe
    from lenssim.learn.report.table import report_text

    steps = load_recipe(recipe)
    folder = out or Path("runs") / recipe.stem
    if not 1 <= jobs <= 256:
        raise ConfigError(
            f"the number of jobs must lie in 1..256, got {jobs}",
            code="option-range",
            option="jobs",
            value=jobs,
        )

    repeat: list[object] = ["run", recipe, "--out", folder]
    if jobs > 1:
        repeat += ["--jobs", jobs]
    with resumable(command(*repeat)):
        from lenssim.learn.recipes.execution import follow

        rows = follow(
            steps,
            folder,
            workers=workers,
            jobs=jobs,
            device=device,
            say=lambda text: print(text, file=sys.stderr, flush=True),
            generating=samples_bar,
            training=_displays,
        )
    if json:
        print(dumps([asdict(row) for row in rows]))
        return
    print(report_text(steps.title, rows))
    print(f"next: open {quoted(folder / 'report.html')}")


def _displays() -> list[Any]:
    """Return what shows the progress of a training."""
    from lenssim.learn.training.progress import progress

    return [progress()]
