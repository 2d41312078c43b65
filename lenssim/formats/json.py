"""JSON as people write it, read strictly: no key twice, no NaN, no depth without end."""

import json
from collections import Counter
from typing import Any

from lenssim.errors import ConfigError
from lenssim.formats.texts import (
    MAX_DEPTH,
    TOO_DEEP,
    RefusedError,
    finite_float,
    finite_integer,
    whole_letters,
)
from lenssim.names import printable

__all__ = ["parse_json"]


def parse_json(text: str, where: str) -> Any:
    """Return the JSON document of a text; a key that comes twice and NaN are refused.

    Raises:
        ConfigError: The text is not JSON, is nested too deeply, or holds what is refused.

    Example:
        >>> parse_json('{"a": [1, 2.5]}', "an example")
        {'a': [1, 2.5]}
    """
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=finite_float,
            parse_float=finite_float,
            parse_int=finite_integer,
        )
    except RefusedError as error:
        raise ConfigError(f"{where}: {error}", code="text-invalid", where=where) from None
    except RecursionError:
        raise ConfigError(
            f"{where}: {TOO_DEEP}", code="text-invalid", where=where
        ) from None
    except ValueError as error:
        raise ConfigError(
            f"{where} is not JSON: {printable(str(error))}",
            code="text-invalid",
            where=where,
        ) from None
    _check(document, where)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise RefusedError(f"the key {printable(twice)!r} comes twice")
    return document


def _check(document: Any, where: str) -> None:
    """Refuse a document that is nested too deeply, or holds half of a letter."""
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ConfigError(f"{where}: {TOO_DEEP}", code="text-invalid", where=where)
        if isinstance(value, str) and not value.isascii():
            try:
                whole_letters(value)
            except RefusedError as error:
                raise ConfigError(
                    f"{where}: {error}", code="text-invalid", where=where
                ) from None
        elif isinstance(value, dict):
            waiting.extend((child, depth + 1) for child in (*value, *value.values()))
        elif isinstance(value, list):
            waiting.extend((child, depth + 1) for child in value)
