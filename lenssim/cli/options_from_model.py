"""Options of pydantic models as parameters of a command."""

from __future__ import annotations

from collections.abc import Collection
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated

import typer

from lenssim.api.options import ModelOption, model_options

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["parameter_of", "parameters_of"]


def parameter_of(option: ModelOption) -> Parameter:
    """Return the parameter of a command that typer makes an option of."""
    typed = typer.Option(*option.flags, help=option.help, show_default=False)
    annotation = Annotated[option.kind | None, typed]  # type: ignore[name-defined]
    return Parameter(
        option.name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def parameters_of(model: type[BaseModel], without: Collection[str] = ()) -> list[Parameter]:
    """Return the parameters of a command that has the options of a model.

    Example:
        >>> from pydantic import BaseModel, Field
        >>> class Settings(BaseModel):
        ...     epochs: int = Field(default=12, description="Passes over the images")
        >>> (parameter,) = parameters_of(Settings)
        >>> parameter.name
        'epochs'
        >>> next(model_options(Settings)).help
        'Passes over the images. Default: 12.'
    """
    return [parameter_of(option) for option in model_options(model, without)]
