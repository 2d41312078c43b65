"""`lenssim train`: from a data set to a network."""

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.cli.stop import resumable
from lenssim.commands import command

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    train = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Train a network on a data set."
    )
    train.command()(classify)
    train.command()(regress)
    app.add_typer(train, name="train")


def classify(
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="Folder or URL of the data set.")
    ] = None,
    live: Annotated[
        str | None,
        typer.Option(
            help="Instead of --data: a preset, simulated while training; nothing on disk."
        ),
    ] = None,
    live_n: Annotated[
        int | None, typer.Option(help="Samples of an epoch of --live. Default: 9000.")
    ] = None,
    live_seed: Annotated[
        int | None, typer.Option(help="Seed of the samples of --live. Default: 0.")
    ] = None,
    live_endless: Annotated[
        bool | None,
        typer.Option("--live-endless", help="Simulate other samples every epoch."),
    ] = None,
    live_noise: Annotated[
        str | None, typer.Option(help="Noise of --live. Default: the preset's first.")
    ] = None,
    net: Annotated[
        str | None,
        typer.Option(
            help="compact, resnet18, vit, timm:NAME ...: docs/training.md. Default: cnn."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the run. Default: runs/<net>-<data set or preset>[-<picture>].",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --out, with its settings."),
    ] = False,
    picture: Annotated[
        str | None,
        typer.Option(
            help="What to look at: image, or clean, kappa, residual if the data keep it. Default: image."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Run of the same net whose weights to begin with. Default: at random."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images. Default: 12.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images a step. Default: 64.")
    ] = None,
    optimiser: Annotated[
        str | None, typer.Option(help="adamw, adam, nadam, muon or sgd. Default: adamw.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="onecycle, cosine, exponential, constant, as_run or as_written. Default: onecycle."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="Default: 0.002.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Decides weights, order and augmentation. Default: 0."),
    ] = None,
    normalise: Annotated[
        str | None,
        typer.Option(
            help="Scaling of each image: minmax, max, standard, asinh, symlog, none. Default: minmax."
        ),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="Such as dihedral+recentre=2+psf; see docs/training.md. Default: dihedral."
        ),
    ] = None,
    dropout: Annotated[
        str | None,
        typer.Option(
            help="Rate before every layer, or concrete: learned. Drawn in answers too. Default: 0."
        ),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(help="Passes of an answer, with --dropout. Default: 16.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs without a better validation loss. Default: never."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Use only so many training images.")
    ] = None,
    checkpoint_steps: Annotated[
        int | None,
        typer.Option(help="Save every so many steps too. Default: after each epoch only."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Threads that read ahead; processes with --live. Default: 0."),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(
            help="In the loss: balanced, or such as no_sub=1,cdm=2. Default: all alike."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="32, bf16 (where the device has it) or 16 bits. Default: 32."),
    ] = None,
    compile: Annotated[
        bool | None, typer.Option("--compile", help="Compile the network by torch.compile.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(help="GPUs that share each batch. Default: 1.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or mps. Default: auto.")
    ] = None,
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
        shared = [
            p for name, p in signature(command).parameters.items() if name not in without
        ]
        shared = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in shared]
        own.__signature__ = Signature(parameters + shared)  # type: ignore[attr-defined]
        return own

    return widen


@_with_options_of(classify, "class_weights", "augment")
def regress(
    *,
    targets: Annotated[
        str | None,
        typer.Option(
            help="True parameters to measure, such as theta_E,e1,e2.  [required to start]"
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="point, diagonal, full (covariance), mixture or flow. Default: full."
        ),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only samples of this class.")] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="As of classify: targets move along with the image. Default: none."
        ),
    ] = None,
    **given: Any,
) -> None:
    """Train a network to measure true parameters, with errors; test blocks are left for lenssim evaluate."""
    names = (
        tuple(name.strip() for name in targets.split(",")) if targets is not None else None
    )
    _train("regress", targets=names, head=head, only=only, augment=augment, **given)


def _weights(text: str) -> Any:
    """`balanced`, or weights by class of text such as `no_sub=1,cdm=2`."""
    return dict(part.split("=", 1) for part in text.split(",")) if "=" in text else text


def _train(task: str, *, out: Path | None, resume: bool, json: bool, **given: Any) -> None:
    settings: dict[str, Any] = {
        name: value for name, value in given.items() if value is not None
    }
    own = {
        name.removeprefix("live_"): settings.pop(name)
        for name in list(settings)
        if name.startswith("live_")
    }
    if given["live"] is not None:
        settings["live"] = {"model": given["live"], **own}
    settings["task"] = task

    from lenssim.learn.runs.run import open_run
    from lenssim.learn.tasks import parse_config

    folder = out or _default_folder(settings)
    kept = open_run(folder).record.config.model_dump() if resume else {}
    config = parse_config({**kept, **settings}, "training")

    from lenssim.learn.runs.model_card import (
        write_card,  # from here on seconds of imports: bad settings are told before
    )
    from lenssim.learn.training.progress import progress
    from lenssim.learn.training.training import train

    with resumable(command("train", config.task, "--out", folder, "--resume")):
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
        + (
            f", stopped early after {config.patience} epochs without progress"
            if result.stopped == "early"
            else ""
        )
    )
    scores = ", ".join(
        f"{name} {result.scores[key]:.4f}" for key, name in run.record.task.progress.items()
    )
    print(
        f"best epoch {result.best_epoch}: validation loss {result.val_loss:.4f}, {scores}"
    )
    print(f"next: {command('evaluate', folder, '--data', config.data or 'D')}")


def _default_folder(settings: dict[str, Any]) -> Path:
    """`runs/` and the net, the data set's folder or the live preset, and the picture, as one name of a folder."""
    live = settings.get("live", {}).get("model", "")
    source = (
        Path(settings["data"]).resolve().name if "data" in settings else Path(live).stem
    )
    shown = settings.get("picture", "image")
    words = [settings.get("net", "cnn"), source, *([] if shown == "image" else [shown])]
    return Path("runs") / "-".join(words).replace(":", "-").replace("/", "-")
