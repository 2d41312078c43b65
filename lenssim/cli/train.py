"""`lenssim train`: from a data set to a network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, override

import typer
from typer.core import TyperGroup

from lenssim.cli.options import Json
from lenssim.cli.options_from_model import parameters_of
from lenssim.cli.stop import resumable
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.api.run import Run

__all__ = ["register"]

_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Folder of the run. Default: runs/<net>-<data set or preset>[-<picture>].",
    ),
]
_Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the run in --out, with its settings."),
]


class _TaskGroup(TyperGroup):
    """A command for each task. Tasks are imported when one of them is asked for."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        from lenssim.learn.tasks import TASKS

        return list(TASKS)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from lenssim.learn.tasks import TASKS

        if cmd_name not in TASKS:
            return None
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(name=cmd_name)(_command_of(cmd_name))
        return typer.main.get_command(app)


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    train = typer.Typer(
        cls=_TaskGroup,
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Train a network on a data set.",
    )
    app.add_typer(train, name="train")


def _command_of(task: str) -> Callable[..., None]:
    """Return the command that trains a task; its options are the fields of the settings."""
    from lenssim.learn.tasks import TASKS

    settings = TASKS[task].settings

    def train(out: Path | None, resume: bool, json: bool, **arguments: Any) -> None:
        _train(task, arguments, out, resume, json)

    parameters = [
        *parameters_of(settings, without=("task",)),
        *_method_parameters(),
        Parameter("out", Parameter.KEYWORD_ONLY, default=None, annotation=_Out),
        Parameter("resume", Parameter.KEYWORD_ONLY, default=False, annotation=_Resume),
        Parameter("json", Parameter.KEYWORD_ONLY, default=False, annotation=Json),
    ]
    train.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    train.__annotations__ = {}
    description = settings.model_fields["task"].description
    train.__doc__ = f"{description}; test blocks are left for lenssim evaluate."
    return train


def _method_parameters() -> list[Parameter]:
    """Return the options of all methods, each name once."""
    from lenssim.learn.methods import METHODS

    parameters: dict[str, Parameter] = {}
    for method in METHODS.values():
        for parameter in parameters_of(method):
            parameters.setdefault(parameter.name, parameter)
    return list(parameters.values())


def _train(
    task: str, arguments: dict[str, Any], out: Path | None, resume: bool, json: bool
) -> None:
    """Train as the arguments of a command say, and print the result."""
    from lenssim.api.training import default_folder, train, training_settings

    folder = out or default_folder(training_settings(task, None, arguments))
    _say_what_is_awaited()
    with resumable(command("train", task, "--out", folder, "--resume")):
        run = train(task, out=folder, resume=resume, **arguments)
    if json:
        print(run.record.model_dump_json())
    else:
        _print_result(run)


def _say_what_is_awaited() -> None:
    """Say on a terminal why nothing moves yet: the libraries of a training take seconds."""
    from lenssim.notes import note

    if sys.stderr is not None and sys.stderr.isatty():
        note("starting: importing torch and Lightning, opening the data")


def _print_result(run: Run) -> None:
    """Print what was trained, its best epoch and the next command."""
    record = run.record
    config = record.config
    result = record.result
    assert result is not None  # a training that returns has ended
    early = ""
    if result.stopped == "early" and config.patience is not None:
        early = f", stopped early after {config.patience} epochs without progress"
    print(
        f"{run.folder}: {config.label}, {record.parameters:,} parameters, "
        f"{result.epochs} epochs in {result.seconds / 60:.1f} minutes{early}"
    )
    progress = record.task.presentation.progress
    scores = ", ".join(f"{name} {result.scores[key]:.4f}" for key, name in progress.items())
    print(
        f"best epoch {result.best_epoch}: validation loss {result.val_loss:.4f}, {scores}"
    )
    print(f"next: {command('evaluate', run.folder, '--data', config.data or 'D')}")
