"""`lenssim evaluate` and `predict`: answers of trained networks, and their scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.options import Device, Json
from lenssim.cli.problems import raise_problems
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.learn.evaluation.prediction import Prediction
    from lenssim.learn.inputs.problems import Problem
    from lenssim.learn.tasks import Task

__all__ = ["register"]

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder that lenssim train wrote.")
]
With = Annotated[
    list[Path] | None,
    typer.Option(
        "--with", metavar="RUN", help="Another run: their answers are averaged. Repeatable."
    ),
]
Tta = Annotated[
    bool,
    typer.Option(
        "--tta", help="Average over the flips and turns that the run was trained with."
    ),
]
Prevalence = Annotated[
    float | None,
    typer.Option(
        "--prevalence",
        metavar="SHARE",
        help="Runs of find: the share of the found class, such as 0.001. Default: the run's.",
    ),
]
_Data = Annotated[
    str,
    typer.Option("--data", "-d", help="Folder or URL of the data set to judge the run on."),
]
_Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help=".npy, .npz, .fits, .h5 files, folders of them, or data sets; URLs too.",
    ),
]
_Extension = Annotated[
    str | None,
    typer.Option(
        "--extension",
        metavar="NAME|NUMBER",
        help="The FITS extension, or array of .npz files, to read.",
    ),
]
_Resample = Annotated[
    bool,
    typer.Option(
        "--resample",
        help="Bring images of other pixels to those of the run, with their flux.",
    ),
]
_NativeScale = Annotated[
    float | None,
    typer.Option(
        help="With --resample: pixel scale in arcsec of images that do not state it."
    ),
]


_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Write the answers to a .csv, .ecsv or .fits file.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(evaluate)
    app.command()(predict)


def evaluate(
    run: RunFolder,
    data: _Data,
    others: With = None,
    tta: Tta = False,
    prevalence: Prevalence = None,
    device: Device = "auto",
    resample: _Resample = False,
    json: Json = False,
) -> None:
    """Judge a run on images it has not seen: scores with intervals, ROC, confusion, curves, calibration.

    On the data it was trained on, or others of the same seed, only their test blocks are used; else all samples. Exact
    copies of images that it has learned from are left out.
    """
    from json import dumps

    from lenssim.api.run import load_runs

    trained, *members = load_runs([run, *(others or [])])
    scores = trained.evaluate(
        data,
        others=members,
        tta=tta,
        prevalence=prevalence,
        device=device,
        resample=resample,
    )
    if json:
        print(dumps({"folder": str(scores.folder), **scores.document}))
        return
    _print_scores(trained.record.task, scores.document)
    print(
        f"in brackets: 95 % intervals over {scores.document['n']} images; "
        f"figures and tables are in {scores.folder}"
    )
    print(f"next: {command('predict', run, 'FILE...')}")


def _print_scores(task: "Task", document: dict[str, Any]) -> None:
    """Print the scores of an evaluation, and what else there is to say of it."""
    from lenssim.cli.table import print_table
    from lenssim.learn.scores.classification import interval_text

    scores = document["metrics"]
    presentation = task.presentation
    rows = {name: scores[key] for key, name in presentation.headlines.items()}
    rows |= presentation.details(scores)
    print_table(["", ""], [[name, interval_text(score)] for name, score in rows.items()])
    for line in presentation.remarks(document):
        print(line)
    unlike = document.get("unlike_training_data")
    if unlike is not None:
        print(
            f"unlike the training data: {unlike['share']:.1%} "
            f"(of images like them, {unlike['alarm_rate']:.1%})"
        )


def predict(
    run: RunFolder,
    files: _Files,
    others: With = None,
    tta: Tta = False,
    prevalence: Prevalence = None,
    device: Device = "auto",
    extension: _Extension = None,
    resample: _Resample = False,
    native_scale: _NativeScale = None,
    out: _Out = None,
    json: Json = False,
) -> None:
    """Answer for the images in files, and say which of them look unlike the training data.

    A classifier's probabilities are calibrated on its validation images. Files and images that cannot be used are named
    on stderr; the others are answered all the same, and the exit code is 1.
    """
    from lenssim.api.run import load_runs
    from lenssim.api.table import table_path

    if out is not None:
        table_path(out)
    trained, *members = load_runs([run, *(others or [])])
    task = trained.record.task
    problems: list[Problem] = []
    answers = trained.predict(
        files,
        others=members,
        tta=tta,
        prevalence=prevalence,
        device=device,
        extension=extension,
        resample=resample,
        native_scale=native_scale,
        report=problems.append,
    )
    predictions = answers.predictions
    if out is not None:
        answers.save(out)
    if json:
        _print_json(run, task, predictions, problems)
    elif out is not None:
        print(f"{answers.rows} answers are in {out}")
    elif predictions:
        _print_predictions(task, predictions)
    raise_problems(problems, answered=len(predictions))


def _print_json(
    run: Path, task: "Task", predictions: "list[Prediction]", problems: "list[Problem]"
) -> None:
    """Print predictions, and what could not be used, as one JSON document."""
    from json import dumps

    document = {
        "run": str(run),
        "task": task.title,
        "predictions": [prediction.document() for prediction in predictions],
        "errors": [problem.document() for problem in problems],
    }
    print(dumps(document))


def _print_predictions(task: "Task", predictions: "list[Prediction]") -> None:
    """Print one line for each image; its number only where a file holds several."""
    from lenssim.cli.table import print_table

    numbered = any(prediction.image for prediction in predictions)
    named = any(prediction.name for prediction in predictions)
    lines = [_line(task, prediction, numbered, named) for prediction in predictions]
    print_table(list(lines[0]), [list(line.values()) for line in lines])


def _line(
    task: "Task", prediction: "Prediction", numbered: bool, named: bool
) -> dict[str, str]:
    """Return the line of a prediction, by column."""
    from lenssim.names import printable

    line = {"file": prediction.file}
    if numbered:
        line["image"] = str(prediction.image)
    if named:
        line["name"] = printable(prediction.name)
    line |= task.presentation.cells(prediction.answer)
    if prediction.novelty is not None:
        line["unlike training data"] = "no"
        if prediction.unlike:
            line["unlike training data"] = f"YES (p {prediction.novelty:.4f})"
    return line
