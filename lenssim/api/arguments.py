"""Arguments of the Python door: each is checked by its annotation, before anything else happens."""

from __future__ import annotations

import builtins
import functools
import inspect
import operator
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal, Unpack, get_args, get_origin

from lenssim.errors import ConfigError
from lenssim.names import shown

__all__ = ["Between", "checked", "value_of"]

_FUNCTIONS = ("Report", "Stop")  # aliases that modules import for type checkers alone
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    Path: "a path",
    type(None): "None",
}


class _WrongTypeError(Exception):
    """A value is not of a type."""


@dataclass(frozen=True)
class Between:
    """The interval of a whole number, both ends included: `Annotated[int, Between(0, 9)]`."""

    low: int
    high: int


def checked[FunctionT: Callable[..., Any]](function: FunctionT) -> FunctionT:
    """Let a function refuse arguments of the wrong type, by its own annotations.

    Nothing is rounded or guessed: 1.5 is no whole number, and neither is True. Numbers of
    numpy are numbers, and whatever stands for a path is a path.

    Example:
        >>> @checked
        ... def render(model: str, number: int = 0) -> int:
        ...     return number
        >>> render("III", number=1.5)
        Traceback (most recent call last):
        lenssim.errors.ConfigError: number takes a whole number, got 1.5
    """
    stated = inspect.Signature.from_callable(function)
    bound_by = _bare(function)

    @functools.cache
    def annotations() -> tuple[dict[str, Any], Any]:
        return _annotations(function, bound_by, stated)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = bound_by.bind(*args, **kwargs)
        by_name, further = annotations()
        for name, value in bound.arguments.items():
            kind = bound_by.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = {
                    key: value_of(key, entry, by_name.get(key, further))
                    for key, entry in value.items()
                }
            else:
                bound.arguments[name] = value_of(name, value, by_name.get(name, Any))
        return function(*bound.args, **bound.kwargs)

    return typing.cast("FunctionT", call)


def value_of(name: str, value: Any, annotation: Any) -> Any:
    """Return a value as a type takes it.

    Args:
        name: What the value is called.
        value: The value.
        annotation: The type.

    Raises:
        ConfigError: The value is of another type, or outside its interval.

    Example:
        >>> value_of("count", 3, int), value_of("share", 1, float | None)
        (3, 1.0)
    """
    try:
        return _matched(name, value, annotation)
    except _WrongTypeError:
        raise ConfigError(
            f"{name} takes {' or '.join(dict.fromkeys(_words(annotation)))}, got {shown(value)}",
            code="argument-type",
            argument=name,
            value=value,
        ) from None


def _matched(name: str, value: Any, annotation: Any) -> Any:
    """Return a value that a type takes; `_WrongTypeError` for another."""
    if annotation is Any:
        return value
    origin = get_origin(annotation) or annotation
    if origin in (typing.Union, types.UnionType):
        return _of_union(name, value, get_args(annotation))
    if origin is Annotated:
        kind, *limits = get_args(annotation)
        return _inside(name, _matched(name, value, kind), limits)
    if origin is Literal:
        return _accept(
            value, any(value is entry or value == entry for entry in get_args(annotation))
        )
    if origin in _PLAIN:
        return _PLAIN[origin](value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _of_mapping(name, value, get_args(annotation))
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return _of_list(name, value, get_args(annotation))
    if origin is Callable:
        return _accept(value, callable(value))
    return _accept(value, _is_of_class(value, origin))


def _of_union(name: str, value: Any, members: tuple[Any, ...]) -> Any:
    """Return a value as the first member that takes it."""
    for member in members:
        try:
            return _matched(name, value, member)
        except _WrongTypeError:
            continue
    raise _WrongTypeError


def _inside(name: str, value: Any, limits: list[Any]) -> Any:
    for limit in limits:
        if isinstance(limit, Between) and not limit.low <= value <= limit.high:
            raise ConfigError(
                f"{name} must lie in {limit.low}..{limit.high}, got {shown(value)}",
                code="option-range",
                option=name,
                value=value,
            )
    return value


def _of_mapping(name: str, value: Any, members: tuple[Any, ...]) -> Any:
    if not isinstance(value, Mapping):
        raise _WrongTypeError
    kind, entry_kind = members or (Any, Any)
    return {
        _matched(name, key, kind): _matched(name, entry, entry_kind)
        for key, entry in value.items()
    }


def _of_list(name: str, value: Any, members: tuple[Any, ...]) -> Any:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _WrongTypeError
    kind = members[0] if members else Any
    return [_matched(name, entry, kind) for entry in value]


def _is_of_class(value: Any, kind: Any) -> bool:
    """Say whether a value is of a class, which may be known by its name alone."""
    if not issubclass(kind, _Named):
        return isinstance(value, kind)
    if kind.__name__ in _FUNCTIONS:
        return callable(value)
    return any(parent.__name__ == kind.__name__ for parent in type(value).__mro__)


def _accept(value: Any, is_right: bool) -> Any:
    if not is_right:
        raise _WrongTypeError
    return value


def _whole(value: Any) -> int:
    """Return a whole number of Python's, numpy's or torch's; a truth value is none."""
    if _is_switch(value):
        raise _WrongTypeError
    try:
        return operator.index(value)
    except Exception:  # whatever the class of a stranger raises
        raise _WrongTypeError from None


def _number(value: Any) -> float:
    if _is_switch(value) or not isinstance(value, Real):
        raise _WrongTypeError
    try:
        return float(value)
    except OverflowError:
        raise _WrongTypeError from None


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def _switch(value: Any) -> bool:
    if not _is_switch(value):
        raise _WrongTypeError
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongTypeError
    try:
        return _accept(value, b"\0" not in os.fsencode(value))
    except UnicodeEncodeError:
        raise _WrongTypeError from None


def _path(value: Any) -> Any:
    if not isinstance(value, os.PathLike):
        raise _WrongTypeError
    _text(os.fspath(value))
    return value


def _nothing(value: Any) -> None:
    _accept(value, value is None)


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    bool: _switch,
    float: _number,
    int: _whole,
    Path: _path,
    str: _text,
    type(None): _nothing,
}


def _words(annotation: Any) -> Iterator[str]:
    """Yield what a type takes, in words."""
    origin = get_origin(annotation) or annotation
    members = get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        without = {str} if Path in members else set()
        for member in members:
            if member not in without:
                yield from _words(member)
    elif origin is Annotated:
        yield from _words(members[0])
    elif origin is Literal:
        yield from map(repr, members)
    elif origin in _WORDS:
        yield _WORDS[origin]
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield f"a mapping of names to {_plural(members[-1:])}"
    elif isinstance(origin, type) and issubclass(origin, Iterable):
        yield f"a list of {_plural(members)}"
    elif origin is Callable or getattr(origin, "__name__", "") in _FUNCTIONS:
        yield "a function"
    else:
        yield f"a {origin.__name__}"


def _plural(members: tuple[Any, ...]) -> str:
    words = list(_words(members[0])) if members else ["values"]
    return " or ".join(f"{word.removeprefix('a ')}s" for word in dict.fromkeys(words))


class _Named:
    """A class that a module imports for type checkers alone: its name is what is known of it."""


class _Namespace(dict[str, Any]):
    """Names of a module; those that it imports for type checkers alone are classes by name.

    Options may be annotated in another module, so words of typing are known in each.
    """

    def __missing__(self, name: str) -> Any:
        for module in (builtins, typing):
            if hasattr(module, name):
                return getattr(module, name)
        return type(name, (_Named,), {})


def _bare(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature that a call is bound by: without what a docstring shows."""
    shown_signature = function.__dict__.pop("__signature__", None)
    try:
        return inspect.signature(function)
    finally:
        if shown_signature is not None:
            function.__dict__["__signature__"] = shown_signature


def _annotations(
    function: Callable[..., Any], bare: inspect.Signature, stated: inspect.Signature
) -> tuple[dict[str, Any], Any]:
    """Return the types of arguments by name, and the type of keyword arguments of other names."""
    names = _Namespace(function.__globals__)
    by_name: dict[str, Any] = {}
    further: Any = Any
    for parameter in (*bare.parameters.values(), *stated.parameters.values()):
        annotation = _resolved(parameter.annotation, names)
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            by_name[parameter.name] = annotation
        elif get_origin(annotation) is Unpack:
            (options,) = get_args(annotation)
            for key, kind in typing.get_type_hints(options).items():
                by_name.setdefault(key, kind)
        else:
            further = annotation
    return by_name, further


def _resolved(annotation: Any, names: _Namespace) -> Any:
    """Return a type that may be written as text."""
    if annotation is inspect.Parameter.empty:
        return Any
    if annotation is None:
        return type(None)
    if isinstance(annotation, str):
        return eval(annotation, {}, names)
    return annotation
