"""`lenssim population`: what the lenses of many images share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.cli.problems import raise_problems
from lenssim.commands import quoted

__all__ = ["register"]
_Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder that lenssim train wrote.")
]
_Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="Images of one population, or a data set of populations.",
    ),
]
_Images = Annotated[
    str | None,
    typer.Option(help="Judge the first so many of each too, such as 1,4,16."),
]
_Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        "-c",
        help="Data set of other populations: how alike do images of one err?",
    ),
]
_Scatter = Annotated[
    bool,
    typer.Option("--scatter", help="Lenses differ: infer the population's mean and width."),
]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for the result. Default: RUN/population."),
]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(population)


def population(
    run: _Run,
    files: _Files,
    images: _Images = None,
    calibration: _Calibration = None,
    scatter: _Scatter = False,
    out: _Out = None,
    device: _Device = "auto",
    json: Json = False,
) -> None:
    """Infer what the lenses of many images share: their posteriors as one, the training's prior divided out.

    A data set made by lenssim generate --shared holds a population in each 64 images: how often is the truth covered?
    """
    from json import dumps

    from lenssim.api.evaluation import population as infer_population
    from lenssim.learn.inputs.problems import Problem

    problems: list[Problem] = []
    document = infer_population(
        run,
        files,
        images=images,
        calibration=calibration,
        scatter=scatter,
        out=out,
        device=device,
        report=problems.append,
    )
    if json:
        print(dumps(document))
    else:
        _print_populations(document)
    raise_problems(problems, answered=document["images"])


def _print_populations(found: dict[str, Any]) -> None:
    """Coverage by number of images, or what a single population shares."""
    for size, scores in found.get("coverage", {}).items():
        for name, score in scores.items():
            if name != "populations":
                prior_text = ""
                if "sigma_of_the_prior" in score:
                    prior_text = f", of the prior {score['sigma_of_the_prior']:.3g}"
                coverage = ", ".join(
                    f"{score[f'within_{k}']['value']:.0%}" for k in (1, 2, 3)
                )
                print(
                    f"{size} images, {name}: rms error {score['rmse']:.3g}, "
                    f"mean sigma {score['sigma']:.3g}{prior_text}; "
                    f"within 1, 2, 3 sigma {coverage}"
                )
    if "coverage" not in found:
        (only,) = found["populations"]
        for name, score in only.items():
            if isinstance(score, dict):
                print(f"{name}: {score['mean']:.4g} +- {score['sigma']:.2g}")
    print(f"{found['images']} images; figures and all numbers are in {found['folder']}")
    print(f"next: look at {quoted(Path(found['folder']) / 'corner.png')}")
