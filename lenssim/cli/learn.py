"""`lenssim train`, `evaluate`, `predict` and `run`: from a data set to a network and its answers."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["register"]

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that lenssim train wrote.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="RUN", help="Another run: their answers are averaged. Repeatable."),
]
Tta = Annotated[bool, typer.Option("--tta", help="Average over the flips and turns that the run was trained with.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    train = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a network on a data set.")
    train.command()(classify)
    train.command()(regress)
    app.add_typer(train, name="train")
    app.command()(evaluate)
    app.command()(predict)
    app.command(name="run")(run_recipe)


def classify(
    data: Annotated[str | None, typer.Option("--data", "-d", help="Folder or URL of the data set.")] = None,
    live: Annotated[
        str | None, typer.Option(help="Instead of --data: a preset, simulated while training; nothing on disk.")
    ] = None,
    live_n: Annotated[int | None, typer.Option(help="Samples of an epoch of --live. Default: 9000.")] = None,
    live_seed: Annotated[int | None, typer.Option(help="Seed of the samples of --live. Default: 0.")] = None,
    live_endless: Annotated[
        bool | None, typer.Option("--live-endless", help="Simulate other samples every epoch.")
    ] = None,
    live_noise: Annotated[str | None, typer.Option(help="Noise of --live. Default: the preset's first.")] = None,
    net: Annotated[
        str | None, typer.Option(help="compact, resnet18, vit, timm:NAME ...: docs/training.md. Default: cnn.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run. Default: runs/<net>-<data set's folder>[-<picture>]."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, with its settings.")] = False,
    picture: Annotated[
        str | None,
        typer.Option(help="What to look at: image, or clean, kappa, residual if the data keep it. Default: image."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images. Default: 12.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step. Default: 64.")] = None,
    optimiser: Annotated[str | None, typer.Option(help="adamw, adam, nadam, muon or sgd. Default: adamw.")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="onecycle, cosine, exponential, constant, as_run or as_written. Default: onecycle."),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", "--lr", help="Default: 0.002.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides weights, order and augmentation. Default: 0.")] = None,
    normalise: Annotated[
        str | None,
        typer.Option(help="Scaling of each image: minmax, max, standard, asinh, symlog, none. Default: minmax."),
    ] = None,
    augment: Annotated[
        str | None, typer.Option(help="Such as dihedral+recentre=2+psf; see docs/training.md. Default: dihedral.")
    ] = None,
    dropout: Annotated[
        str | None,
        typer.Option(help="Rate before every layer, or concrete: learned. Drawn in answers too. Default: 0."),
    ] = None,
    draws: Annotated[int | None, typer.Option(help="Passes of an answer, with --dropout. Default: 16.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better validation loss. Default: never.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.")] = None,
    checkpoint_steps: Annotated[
        int | None, typer.Option(help="Save every so many steps too. Default: after each epoch only.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads that read ahead; processes with --live. Default: 0.")
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="In the loss: balanced, or such as no_sub=1,cdm=2. Default: all alike.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="32, bf16 or 16 bits. Default: 32.")] = None,
    compile: Annotated[bool | None, typer.Option("--compile", help="Compile the network by torch.compile.")] = None,
    devices: Annotated[int | None, typer.Option(help="GPUs that share each batch. Default: 1.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps. Default: auto.")] = None,
    json: Json = False,
) -> None:
    """Train a network to tell the classes of a data set apart; test blocks are left for lenssim evaluate."""
    given = locals()
    if class_weights is not None:
        given["class_weights"] = _weights(class_weights)
    _train("classify", **given)


def _with_options_of(
    command: Callable[..., None], *without: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Lets a command that takes `**given` be given all options of another one, but some."""

    def widen(own: Callable[..., None]) -> Callable[..., None]:
        parameters = list(signature(own).parameters.values())[:-1]
        shared = [p for name, p in signature(command).parameters.items() if name not in without]
        shared = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in shared]
        own.__signature__ = Signature(parameters + shared)  # type: ignore[attr-defined]
        return own

    return widen


@_with_options_of(classify, "class_weights", "augment")
def regress(
    *,
    targets: Annotated[
        str | None, typer.Option(help="True parameters to measure, such as theta_E,e1,e2.  [required to start]")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="point, diagonal, full (covariance), mixture or flow. Default: full.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only samples of this class.")] = None,
    augment: Annotated[
        str | None, typer.Option(help="As of classify: targets move along with the image. Default: none.")
    ] = None,
    **given: Any,
) -> None:
    """Train a network to measure true parameters, with errors; test blocks are left for lenssim evaluate."""
    names = tuple(name.strip() for name in targets.split(",")) if targets is not None else None
    _train("regress", targets=names, head=head, only=only, augment=augment, **given)


def _weights(text: str) -> Any:
    """`balanced`, or weights by class of text such as `no_sub=1,cdm=2`."""
    return dict(part.split("=", 1) for part in text.split(",")) if "=" in text else text


def _train(task: str, *, out: Path | None, resume: bool, json: bool, **given: Any) -> None:
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    own = {name.removeprefix("live_"): settings.pop(name) for name in list(settings) if name.startswith("live_")}
    if given["live"] is not None:
        settings["live"] = {"model": given["live"], **own}
    settings["task"] = task

    from lenssim.learn.run import open_run
    from lenssim.learn.tasks import parse_config

    source = Path(settings["data"]).resolve().name if "data" in settings else settings.get("live", {}).get("model")
    shown = settings.get("picture", "image")
    looks = "" if shown == "image" else f"-{shown}"
    folder = out or Path("runs") / f"{settings.get('net', 'cnn')}-{source}{looks}"
    kept = open_run(folder).record.config.model_dump() if resume else {}
    config = parse_config({**kept, **settings}, "training")

    from lenssim.learn.card import write_card  # from here on seconds of imports: bad settings are told before
    from lenssim.learn.progress import progress
    from lenssim.learn.train import train

    with _stoppable(f"lenssim train {config.task} --out {folder} --resume"):
        run = train(config, folder, resume=resume, callbacks=[progress()])
    write_card(run)
    result = run.record.result
    assert result is not None  # a training that returns has ended
    if json:
        print(run.record.model_dump_json())
        return
    print(
        f"{folder}: {config.net}, {run.record.parameters:,} parameters, {result.epochs} epochs in "
        f"{result.seconds / 60:.1f} minutes"
        + (f", stopped early after {config.patience} epochs without progress" if result.stopped == "early" else "")
    )
    scores = ", ".join(f"{name} {result.scores[key]:.4f}" for key, name in run.record.task.progress.items())
    print(f"best epoch {result.best_epoch}: validation loss {result.val_loss:.4f}, {scores}")
    print(f"next: lenssim evaluate {folder} --data {config.data or 'D'}")


@contextmanager
def _stoppable(command: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end with 130 and 143, and with the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        code, how = 130, "interrupted"
    except SystemExit as end:
        code, how = int(end.code or 0), "terminated"
    else:
        return
    print(f"lenssim: {how}; what is finished is saved, go on with: {command}", file=sys.stderr)
    raise typer.Exit(code)


def evaluate(
    run: RunFolder,
    data: Annotated[str, typer.Option("--data", "-d", help="Folder or URL of the data set to judge the run on.")],
    others: With = None,
    tta: Tta = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Judge a run on images it has not seen: scores with intervals, ROC, confusion, curves, calibration.

    On the data it was trained on, or others of the same seed, only their test blocks are used; else all samples.
    """
    from json import dumps

    from lenssim.learn.card import write_card
    from lenssim.learn.evaluate import evaluate as judge
    from lenssim.learn.evaluate import evaluation_folder, held_out
    from lenssim.learn.metrics import interval_text
    from lenssim.learn.run import open_run

    trained, more = open_run(run), [open_run(each) for each in others or []]
    dataset = trained.opened(data)
    rows, which = held_out(trained, dataset, more)
    print(f"judging {run} on {len(rows)} of {len(dataset)} images: {which}", file=sys.stderr)
    document = judge(trained, dataset, others=more, tta=tta, device=device)
    write_card(trained)
    folder, scores = evaluation_folder(trained, dataset, more, tta), document["metrics"]
    if json:
        print(dumps({"folder": str(folder), **document}))
        return
    task = trained.record.task
    names = {name: scores[key] for key, name in task.headlines.items()} | task.details(scores)
    for name, score in names.items():
        print(f"{name:<{max(map(len, names))}}  {interval_text(score)}")
    for line in task.remarks(document):
        print(line)
    if "unlike_training_data" in document:
        look = document["unlike_training_data"]
        print(f"unlike the training data: {look['share']:.1%} (of images like them, {look['alarm_rate']:.1%})")
    print(f"in brackets: 95 % intervals over {document['n']} images; figures and tables are in {folder}")
    print(f"next: lenssim predict {run} FILE...")


def predict(
    run: RunFolder,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help=".npy, .fits, .h5 files, or data sets; URLs too.")
    ],
    others: With = None,
    tta: Tta = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Answer for the images in files, and say which of them look unlike the training data.

    A classifier's probabilities are calibrated on its validation images.
    """
    from json import dumps

    from lenssim.learn.predict import predict as ask
    from lenssim.learn.run import open_run

    trained = open_run(run)
    more = [open_run(each) for each in others or []]
    task, predictions = trained.record.task, list(ask(trained, files, others=more, tta=tta, device=device))
    if json:
        print(dumps({"run": str(run), "task": task.title, "predictions": [p.document() for p in predictions]}))
        return
    single = len(predictions) == len(files)
    lines = [
        {
            "file": p.file,
            **({} if single else {"image": str(p.image)}),
            **task.cells(p.answer),
            **_look(p.novelty, p.unlike),
        }
        for p in predictions
    ]
    _print_table(list(lines[0]), [list(line.values()) for line in lines])


def _look(novelty: float | None, unlike: bool | None) -> dict[str, str]:
    """The last cell of a prediction's line; none for a run that cannot tell."""
    return {} if novelty is None else {"unlike training data": f"YES (p {novelty:.4f})" if unlike else "no"}


def _print_table(head: list[str], lines: list[list[str]]) -> None:
    """A table on stdout, never folded where nobody looks at a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, pad_edge=False)
    for line in lines:
        table.add_row(*line)
    console = Console()
    console.print(table, width=None if console.is_terminal else 10_000, markup=False, highlight=False)


def run_recipe(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file such as pipelines/quickstart.yaml.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for data, runs and report. Default: runs/<recipe>.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that simulate. Default: one a core.")] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", help="Trainings at a time, sharing the GPU or the cores; evaluations too.")
    ] = 1,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Generate, train, evaluate and report as a recipe says; repeating it does only what is left to do."""
    import os
    from dataclasses import asdict
    from json import dumps

    from lenssim.cli.progress import samples_bar
    from lenssim.errors import ConfigError
    from lenssim.learn.recipe import load_recipe
    from lenssim.learn.report import report_text

    steps = load_recipe(recipe)
    folder = out or Path("runs") / recipe.stem
    if not 1 <= jobs <= 256:
        raise ConfigError(f"the number of jobs must lie in 1..256, got {jobs}")

    def displays() -> list[Any]:
        from lenssim.learn.progress import progress

        return [progress()]

    with _stoppable(f"lenssim run {recipe} --out {folder}" + (f" --jobs {jobs}" if jobs > 1 else "")):
        from lenssim.learn.follow import follow

        rows = follow(
            steps,
            folder,
            workers=len(os.sched_getaffinity(0)) if workers is None else workers,
            jobs=jobs,
            device=device,
            say=lambda text: print(text, file=sys.stderr, flush=True),
            generating=samples_bar,
            training=displays,
        )
    if json:
        print(dumps([asdict(row) for row in rows]))
        return
    print(report_text(steps.title, rows))
    print(f"next: open {folder}/report.html")
