"""Signatures and explanations of functions whose keyword arguments are fields of a model."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from lenssim.api.options import ModelOption, model_options

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["takes_options"]

_OPTIONS_LINE = "**options:"


def takes_options[FunctionT: Callable[..., Any]](
    *models: type[BaseModel],
    types: type,
    without: Collection[str] = (),
    **defaults: Any,
) -> Callable[[FunctionT], FunctionT]:
    """Return a decorator that shows the options of models as arguments of a function.

    `help`, notebooks and tests then see a keyword argument for each option, with the default
    and the description of its field. They take the place of `**options` in the signature,
    and of its line in the docstring.

    Args:
        *models: The models; an option that several have is shown once.
        types: A `TypedDict` with the types of the options.
        without: Names of fields that are no options here.
        **defaults: Defaults that differ from those of the models. Where it is None, the
            docstring says what None stands for.

    Example:
        >>> from typing import TypedDict
        >>> from pydantic import BaseModel, Field
        >>> class Settings(BaseModel):
        ...     epochs: int = Field(default=12, description="passes over the images")
        >>> class Options(TypedDict, total=False):
        ...     epochs: int
        >>> @takes_options(Settings, types=Options)
        ... def train(data: str, **options: int) -> None: ...
        >>> list(inspect.signature(train).parameters)
        ['data', 'epochs']
    """

    def decorate(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function)
        explicit = set(signature.parameters) | set(without)
        options: dict[str, list[ModelOption]] = {}
        for option in chain.from_iterable(
            model_options(model, without) for model in models
        ):
            if option.name not in explicit and option.name in types.__annotations__:
                options.setdefault(option.name, []).append(option)
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(name, variants[0].field.default),
                annotation=_written(types.__annotations__[name]),
            )
            for name, variants in options.items()
        ]
        lines = [
            _line(variants, parameter)
            for variants, parameter in zip(options.values(), parameters, strict=True)
        ]
        function.__signature__ = _merged(signature, parameters)  # type: ignore[attr-defined]
        function.__doc__ = _documented(function.__doc__ or "", lines)
        return function

    return decorate


def _written(annotation: Any) -> Any:
    """Return a type as it was written, where its module evaluates types later."""
    if isinstance(annotation, typing.ForwardRef):
        return annotation.__forward_arg__
    return annotation


def _line(variants: Sequence[ModelOption], parameter: inspect.Parameter) -> str:
    """Return what a docstring says of an argument, an option of one model or of several."""
    line = f"{parameter.name}: {variants[0].field.description}."
    defaults = dict.fromkeys(option.default for option in variants if option.default)
    if parameter.default is None and defaults:
        line += f" None: {' or '.join(defaults)}."
    return line


def _merged(
    signature: inspect.Signature, parameters: list[inspect.Parameter]
) -> inspect.Signature:
    """Put parameters in the place of `**options`; other `**names` stay at the end."""
    stated = list(signature.parameters.values())
    further = [
        parameter
        for parameter in stated
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and parameter.name != "options"
    ]
    positional = [
        parameter
        for parameter in stated
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    return signature.replace(parameters=[*positional, *parameters, *further])


def _documented(text: str, lines: list[str]) -> str:
    """Put a line for each option in the place of that of `**options`."""
    documented = []
    for line in inspect.cleandoc(text).splitlines():
        if line.strip().startswith(_OPTIONS_LINE):
            documented += [f"    {option}" for option in lines]
        else:
            documented.append(line)
    return "\n".join(documented)
