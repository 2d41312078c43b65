"""Commands whose options are the fields of a pydantic model.

The model is imported when the command is called or asked for its help. So `lenssim --help`,
which lists the commands only, imports neither pydantic nor what the model needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from lenssim.api.options import ModelOption, model_options
from lenssim.cli.options_from_model import parameter_of

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["add_command"]


def add_command(
    app: typer.Typer,
    command: Callable[..., None],
    model: Callable[[], type[BaseModel]],
    without: tuple[str, ...] = (),
) -> None:
    """Add a command that takes the options of a model in place of its `**options`.

    Args:
        app: The application.
        command: The command.
        model: A function that imports and returns the model.
        without: Names of fields that the command has no options for.
    """

    class ModelCommand(TyperCommand):
        """A command that looks at its model once its options are asked for."""

        @cached_property
        def complete(self) -> Any:
            """The command with all of its options."""
            return _complete_command(command, model(), without)

        def get_params(self, ctx: Any) -> list[Any]:
            """Return the parameters, with --help at the end."""
            help_option = self.get_help_option(ctx)
            return [*self.complete.params, *filter(None, [help_option])]

        def invoke(self, ctx: Any) -> Any:
            """Run the command."""
            return self.complete.invoke(ctx)

    def listed() -> None:
        """Stand for the command where commands are listed."""

    listed.__name__ = command.__name__
    listed.__doc__ = command.__doc__
    app.command(cls=ModelCommand)(listed)


def _complete_command(
    command: Callable[..., None], model: type[BaseModel], without: tuple[str, ...]
) -> Any:
    """Return a command that typer has read all options of: required ones come first."""
    parameters = [
        parameter
        for parameter in signature(command, eval_str=True).parameters.values()
        if parameter.kind is not Parameter.VAR_KEYWORD
    ]
    parameters += [_parameter(option) for option in model_options(model, without)]

    def complete(**arguments: Any) -> None:
        """Pass all arguments on."""
        command(**arguments)

    parameters = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for parameter in sorted(parameters, key=_is_optional)
    ]
    complete.__signature__ = signature(command).replace(  # type: ignore[attr-defined]
        parameters=parameters
    )
    complete.__annotations__ = {}
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command()(complete)
    return get_command(app)


def _is_optional(parameter: Parameter) -> bool:
    """Say whether a parameter has a default."""
    return parameter.default is not Parameter.empty


def _parameter(option: ModelOption) -> Parameter:
    """Return an option as a parameter; one without a default is required."""
    parameter = parameter_of(option)
    if not option.field.is_required():
        return parameter
    required = typer.Option(*option.flags, help=option.help.partition("  [")[0])
    annotation = Annotated[option.kind, required]  # type: ignore[name-defined]
    return parameter.replace(default=Parameter.empty, annotation=annotation)
