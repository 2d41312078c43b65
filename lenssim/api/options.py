"""Options from the fields of pydantic models: names, types, defaults and words.

Commands take them on a command line, functions as keyword arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from lenssim.errors import ConfigError, explain_rule, unknown
from lenssim.names import shown

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = [
    "ModelOption",
    "check_names",
    "markdown_table",
    "model_options",
    "parse_request",
    "settings_of",
]

_SCALARS: tuple[type, ...] = (bool, int, float)


@dataclass(frozen=True)
class ModelOption:
    """The option that stands for a field of a model.

    A field may say more in `json_schema_extra`: further names (`options`), words for a
    default of None (`unset`), whether it has no option (`hidden`), and whether the model reads
    it as it was typed (`text`).

    Args:
        name: Name of the parameter, such as `live_n`.
        path: Names that lead from the model to the field, such as `("live", "n")`.
        field: The field.
    """

    name: str
    path: tuple[str, ...]
    field: FieldInfo

    @property
    def flag(self) -> str:
        """The option as it is typed, such as `--live-n`."""
        return "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> list[str]:
        """The option as it is typed, and its other names."""
        return [self.flag, *_extra(self.field).get("options", ())]

    @property
    def default(self) -> str:
        """The default in words; empty where there is none."""
        unset = _extra(self.field).get("unset", "")
        if self.field.is_required() or self.field.default in (None, ()):
            return unset
        if self.field.default is False:
            return "no"
        return str(self.field.default)

    @property
    def help(self) -> str:
        """What `--help` says."""
        description = self.field.description or ""
        text = f"{description[:1].upper()}{description[1:]}."
        if self.field.is_required() and len(self.path) == 1:
            return f"{text}  [required to start]"
        if self.default and self.kind is not bool:
            text += f" Default: {self.default}."
        return text

    @property
    def kind(self) -> type:
        """The type that the command line reads: a number, a switch or text."""
        kinds = set(_members(self.field.annotation))
        for scalar in _SCALARS:
            if kinds == {scalar}:
                return scalar
        return str

    def parse(self, text: Any) -> Any:
        """Return the value of the field that an argument stands for."""
        if isinstance(text, PathLike):
            return fspath(text)
        if not isinstance(text, str):
            return text
        if _extra(self.field).get("text"):  # the model reads it
            return text
        origins = {get_origin(kind) for kind in _members(self.field.annotation)}
        if tuple in origins:
            return tuple(word.strip() for word in text.split(","))
        if dict in origins and "=" in text:
            return dict(pair.split("=", 1) for pair in text.split(","))
        return text


def model_options(
    model: type[BaseModel], without: Collection[str] = ()
) -> Iterator[ModelOption]:
    """Yield the options of a model.

    A field that is itself a model has an option for each of its fields. Its own name stands
    for the one that is required: `--live III --live-n 9000`.

    Args:
        model: The model.
        without: Names of fields that get no option.
    """
    for name, field in model.model_fields.items():
        if name in without or _extra(field).get("hidden"):
            continue
        inner = _inner_model(field)
        if inner is None:
            yield ModelOption(name, (name,), field)
            continue
        for key, inner_field in inner.model_fields.items():
            option = name if inner_field.is_required() else f"{name}_{key}"
            yield ModelOption(option, (name, key), inner_field)


def settings_of(model: type[BaseModel], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given, as the model reads them.

    Args:
        model: The model.
        arguments: Values of the options by the names of their parameters; None for options
            that were not given.

    Raises:
        ConfigError: A part of an inner model is given without the option that it belongs to.
    """
    settings: dict[str, Any] = {}
    for option in model_options(model):
        value = arguments.get(option.name)
        if value is None:
            continue
        *parents, key = option.path
        document = settings
        for parent in parents:
            if arguments.get(parent) is None:
                raise ConfigError(
                    f"{option.flag} belongs to --{parent}: give both",
                    code="option-missing",
                    option=parent,
                    flag=option.flag,
                )
            document = document.setdefault(parent, {})
        document[key] = option.parse(value)
    return settings


def _extra(field: FieldInfo) -> dict[str, Any]:
    """Return what a field says of its option."""
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, or the one type; literals count as their values' types."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin is Literal:
        yield from map(type, get_args(annotation))
    elif annotation is not NoneType:
        yield annotation


def _inner_model(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that holds one."""
    for kind in _members(field.annotation):
        if hasattr(kind, "model_fields"):
            return kind
    return None


def markdown_table(model: type[BaseModel], base: type[BaseModel] | None = None) -> str:
    """Return the options of a model as a table for the documentation.

    Args:
        model: The model.
        base: Leave out the fields that the model has from this class unchanged.

    Example:
        >>> from pydantic import BaseModel, Field
        >>> class Settings(BaseModel):
        ...     epochs: int = Field(default=12, description="Passes over the images")
        >>> print(markdown_table(Settings))
        | option | default | |
        |---|---|---|
        | `--epochs` | 12 | Passes over the images |
    """
    inherited = {} if base is None else base.model_fields
    without = {"task"}
    for name, field in model.model_fields.items():
        ancestor = inherited.get(name)
        if ancestor is not None and ancestor.description == field.description:
            without.add(name)
    rows = ["| option | default | |", "|---|---|---|"]
    for option in model_options(model, without):
        names = ", ".join(f"`{flag}`" for flag in option.flags)
        description = option.field.description or ""
        rows.append(f"| {names} | {option.default} | {description} |")
    return "\n".join(rows)


def check_names(arguments: Mapping[str, Any], options: Iterable[ModelOption]) -> None:
    """Refuse arguments that are no options, with a suggestion."""
    names = [option.name for option in options]
    for name in arguments:
        if name not in names:
            raise unknown("setting", name, names, code="settings-invalid")


def parse_request[ModelT: BaseModel](
    model: type[ModelT], arguments: Mapping[str, Any]
) -> ModelT:
    """Return the model of some options.

    Args:
        model: The model.
        arguments: Values of the options; those that are None are left to the model.

    Raises:
        ConfigError: A value cannot be. The message names the option.
    """
    from pydantic import ValidationError

    check_names(arguments, model_options(model))
    try:
        return model.model_validate(settings_of(model, arguments))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(
            _explanation(model, dict(problem)), code="settings-invalid"
        ) from None


def _explanation(model: type[BaseModel], problem: dict[str, Any]) -> str:
    """Return what is wrong with an option, as a user reads it."""
    if not problem["loc"]:  # of the options together
        return explain_rule(problem)
    name = str(problem["loc"][0])
    title = name
    if name in model.model_fields:
        title = model.model_fields[name].title or name
    if problem["type"] == "greater_than_equal":
        return f"{title} must be at least {problem['ctx']['ge']}, got {shown(problem['input'])}"
    if problem["type"] == "less_than_equal":
        return f"{title} must be at most {problem['ctx']['le']:,}, got {shown(problem['input'])}"
    message = explain_rule(problem)
    if problem["type"] == "value_error":
        return message
    return f"{title}: {message}"
