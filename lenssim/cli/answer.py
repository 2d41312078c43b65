"""`lenssim evaluate` and `predict`: what trained networks say of images, and how far to believe them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenssim.cli.options import Device, Json
from lenssim.cli.problems import raise_problems

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


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(evaluate)
    app.command()(predict)


def evaluate(
    run: RunFolder,
    data: Annotated[
        str,
        typer.Option(
            "--data", "-d", help="Folder or URL of the data set to judge the run on."
        ),
    ],
    others: With = None,
    tta: Tta = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Judge a run on images it has not seen: scores with intervals, ROC, confusion, curves, calibration.

    On the data it was trained on, or others of the same seed, only their test blocks are used; else all samples. Exact
    copies of images that it has learned from are left out.
    """
    from json import dumps

    from lenssim.cli.table import print_table
    from lenssim.commands import command
    from lenssim.learn.evaluation.evaluation import evaluate as judge
    from lenssim.learn.evaluation.evaluation import evaluation_folder
    from lenssim.learn.runs.model_card import write_card
    from lenssim.learn.runs.run import open_runs
    from lenssim.learn.scores.classification import interval_text
    from lenssim.notes import note

    trained, *more = open_runs([run, *(others or [])])
    dataset = trained.opened(data)
    document = judge(trained, dataset, others=more, tta=tta, device=device, say=note)
    write_card(trained)
    folder, scores = evaluation_folder(trained, dataset, more, tta), document["metrics"]
    if json:
        print(dumps({"folder": str(folder), **document}))
        return
    task = trained.record.task
    names = {
        name: scores[key] for key, name in task.presentation.headlines.items()
    } | task.presentation.details(scores)
    print_table(["", ""], [[name, interval_text(score)] for name, score in names.items()])
    for line in task.presentation.remarks(document):
        print(line)
    if "unlike_training_data" in document:
        look = document["unlike_training_data"]
        print(
            f"unlike the training data: {look['share']:.1%} (of images like them, {look['alarm_rate']:.1%})"
        )
    print(
        f"in brackets: 95 % intervals over {document['n']} images; figures and tables are in {folder}"
    )
    print(f"next: {command('predict', run, 'FILE...')}")


def predict(
    run: RunFolder,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help=".npy, .npz, .fits, .h5 files, folders of them, or data sets; URLs too.",
        ),
    ],
    others: With = None,
    tta: Tta = False,
    device: Device = "auto",
    extension: Annotated[
        str | None,
        typer.Option(
            "--extension",
            metavar="NAME|NUMBER",
            help="The FITS extension, or array of .npz files, to read.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Answer for the images in files, and say which of them look unlike the training data.

    A classifier's probabilities are calibrated on its validation images. Files and images that cannot be used are named
    on stderr; the others are answered all the same, and the exit code is 1.
    """
    from json import dumps

    from lenssim.learn.evaluation.prediction import predict as ask
    from lenssim.learn.runs.run import open_runs

    trained, *more = open_runs([run, *(others or [])])
    task = trained.record.task
    problems: list[Problem] = []
    predictions = list(
        ask(
            trained,
            files,
            others=more,
            tta=tta,
            device=device,
            extension=extension,
            report=problems.append,
        )
    )
    if json:
        answers = [p.document() for p in predictions]
        errors = [problem.document() for problem in problems]
        print(
            dumps(
                {
                    "run": str(run),
                    "task": task.title,
                    "predictions": answers,
                    "errors": errors,
                }
            )
        )
    elif predictions:
        _print_predictions(task, predictions)
    raise_problems(problems, answered=len(predictions))


def _print_predictions(task: "Task", predictions: "list[Prediction]") -> None:
    """One line for each image; its number only where a file holds several."""
    from lenssim.cli.table import print_table

    single = not any(p.image for p in predictions)
    lines = [
        {
            "file": p.file,
            **({} if single else {"image": str(p.image)}),
            **task.presentation.cells(p.answer),
            **_look(p.novelty, p.unlike),
        }
        for p in predictions
    ]
    print_table(list(lines[0]), [list(line.values()) for line in lines])


def _look(novelty: float | None, unlike: bool | None) -> dict[str, str]:
    """The last cell of a prediction's line; none for a run that cannot tell."""
    return (
        {}
        if novelty is None
        else {"unlike training data": f"YES (p {novelty:.4f})" if unlike else "no"}
    )
