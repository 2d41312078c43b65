"""YAML and JSON as people write them, read strictly: nothing is taken for something that was not meant.

Plain words are words: of YAML 1.1's `yes`, `no`, `on` and `off` none is a truth value, `12:30:00` is
no number and 2024-01-01 no date. Numbers follow YAML 1.2's core schema. Keys are texts. A key that
comes twice, a tag, a number that no float holds and a file that grows beyond limits are refused.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from lenssim.errors import ConfigError
from lenssim.names import printable

__all__ = ["parse_json", "parse_yaml", "read_text", "read_yaml"]

MAX_YAML_BYTES = 4 * 2**20
MAX_JSON_BYTES = 64 * 2**20  # a plan may hold the numbers of a large PSF
MAX_DEPTH = 50
MAX_VALUES = 200_000  # every alias counts as all that it stands for

_PLAIN = "plain"  # the tag of a scalar without quotes, whose text says what it is
_TEXT = "tag:yaml.org,2002:str"
_KNOWN_TAGS = (_PLAIN, _TEXT, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]{1,15}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")


def read_text(path: Path, what: str) -> str:
    """Return the text of a file of at most 64 MiB (JSON) or 4 MiB.

    Args:
        path: The file.
        what: What it is in words, such as "the preset".

    Raises:
        ConfigError: The file cannot be read, is too large or is not UTF-8.
    """
    limit = MAX_JSON_BYTES if path.suffix.lower() == ".json" else MAX_YAML_BYTES
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read {what} {printable(str(path))}: {reason}") from None
    if len(data) > limit:
        size = f"{limit // 2**20} MiB"
        raise ConfigError(
            f"cannot read {what} {printable(str(path))}: it is larger than {size}"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"cannot read {what} {printable(str(path))}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None


def read_yaml(path: Path, what: str) -> Any:
    """Return what a YAML file holds; `ConfigError` as of `read_text` and `parse_yaml`."""
    return parse_yaml(read_text(path, what), printable(str(path)))


def parse_yaml(text: str, where: str) -> Any:
    """Return the one YAML document of a text: dicts with texts as keys, lists, texts, numbers, None.

    Args:
        text: The YAML.
        where: What the text is, for messages.

    Raises:
        ConfigError: The text is not YAML, or holds what the module refuses; the message says the line.

    Example:
        >>> parse_yaml("{no: yes, 1: 1e-3, at: 12:30:00}", "an example")
        {'no': 'yes', '1': 0.001, 'at': '12:30:00'}
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else _Builder().value(node)
    except _RefusedError as error:
        raise ConfigError(f"{where}: {error}") from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{where} is not YAML: {_located(error)}") from None
    except yaml.YAMLError as error:
        reason = printable(" ".join(str(error).split()))
        raise ConfigError(f"{where} is not YAML: {reason}") from None


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
            parse_constant=_float,
            parse_float=_float,
            parse_int=_integer,
        )
    except _RefusedError as error:
        raise ConfigError(f"{where}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{where}: {_TOO_DEEP}") from None
    except ValueError as error:
        raise ConfigError(f"{where} is not JSON: {printable(str(error))}") from None
    _check(document, where)
    return document


class _RefusedError(Exception):
    """A text is refused; its message says the line."""


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's parser up to nodes, which counts values and compares keys as it goes."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = 0
        self.composed = 0
        self.sizes: dict[
            int, tuple[int, int]
        ] = {}  # values and levels of a node that is whole

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        """Leave the meaning of plain scalars to `_plain_value`."""
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return "tag:yaml.org,2002:map" if kind is MappingNode else "tag:yaml.org,2002:seq"

    def compose_node(self, parent: Any, index: Any) -> Node:
        """Compose a node; refuse one that is too deep, too large or holds itself."""
        event = self.peek_event()
        line = event.start_mark.line + 1
        self.depth += 1
        self.composed += 1
        if self.depth > MAX_DEPTH:
            raise _RefusedError(f"line {line}: {_TOO_DEEP}")
        if self.composed > MAX_VALUES:
            raise _RefusedError(f"line {line}: {_TOO_MANY}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if id(node) not in self.sizes:
            if isinstance(event, yaml.AliasEvent):
                raise _RefusedError(
                    f"line {line}: an alias stands inside of what it stands for"
                )
            self.sizes[id(node)] = _measured(node, self.sizes)
        values, levels = self.sizes[id(node)]
        if values > MAX_VALUES:
            raise _RefusedError(f"line {line}: {_TOO_MANY}")
        if levels + self.depth > MAX_DEPTH:
            raise _RefusedError(f"line {line}: {_TOO_DEEP}")
        return node


def _measured(node: Node, sizes: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Values and levels of a node whose children have been measured."""
    values = 1
    levels = 1
    for child in _children(node):
        values += sizes[id(child)][0]
        levels = max(levels, 1 + sizes[id(child)][1])
    if isinstance(node, MappingNode):
        _check_keys(node)
    return values, levels


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, SequenceNode) else []


def _check_keys(node: MappingNode) -> None:
    """Refuse keys that are no text, and a key that comes twice."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise _RefusedError(
                f"line {line}: a key must be a word or number, not a list or mapping"
            )
        key.value = _whole(key.value)
        if key.value in lines:
            name = printable(key.value)
            raise _RefusedError(
                f"line {line}: the key {name!r} comes twice, first in line {lines[key.value]}"
            )
        lines[key.value] = line


class _Builder:
    """Values of nodes; an alias gives the same object again, as it costs no room."""

    def __init__(self) -> None:
        self.built: dict[int, Any] = {}

    def value(self, node: Node) -> Any:
        if id(node) not in self.built:
            self.built[id(node)] = self._build(node)
        return self.built[id(node)]

    def _build(self, node: Node) -> Any:
        line = node.start_mark.line + 1
        if node.tag not in _KNOWN_TAGS:
            tag = printable(node.tag.replace("tag:yaml.org,2002:", "!!"))
            raise _RefusedError(
                f"line {line}: not YAML as lenssim reads it: remove the tag {tag}"
            )
        if isinstance(node, MappingNode):
            return self._mapping(node)
        if isinstance(node, SequenceNode):
            return [self.value(child) for child in node.value]
        try:
            return _whole(node.value) if node.tag == _TEXT else _plain_value(node.value)
        except _RefusedError as error:
            raise _RefusedError(f"line {line}: {error}") from None

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == _PLAIN and key.value == "<<":
                merged = self._merged(child)
            else:
                own[key.value] = self.value(child)
        return merged | own

    def _merged(self, node: Node) -> dict[str, Any]:
        """All keys of the mapping, or list of mappings, that a key `<<` names; the first one wins."""
        value = self.value(node)
        mappings = value if isinstance(value, list) else [value]
        merged: dict[str, Any] = {}
        for mapping in mappings:
            if not isinstance(mapping, dict):
                line = node.start_mark.line + 1
                raise _RefusedError(
                    f"line {line}: << takes a mapping, or a list of mappings"
                )
            merged = mapping | merged
        return merged


def _plain_value(text: str) -> Any:
    """The value of a scalar without quotes, by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _LEADING_ZERO.fullmatch(text):
        raise _RefusedError(
            f'{text} begins with 0: write it without, or as a text, "{text}"'
        )
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return _float(text.replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _integer(text: str) -> int:
    _float(text)
    return int(text)


def _float(text: str) -> float:
    """A finite number; also for the words that JSON has for others."""
    try:
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _RefusedError(f"{text[:20]} is not a finite number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise _RefusedError(f"the key {printable(twice)!r} comes twice")
    return document


def _whole(text: str) -> str:
    """A text whose pairs of surrogates, as `\\ud83d\\ude00` writes them, are the letters they stand for."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _RefusedError(f"{printable(text[:40])} holds half of a letter") from None


def _check(document: Any, where: str) -> None:
    """Refuse a document that is nested too deeply, or holds half of a letter."""
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ConfigError(f"{where}: {_TOO_DEEP}")
        if isinstance(value, str) and not value.isascii():
            try:
                _whole(value)
            except _RefusedError as error:
                raise ConfigError(f"{where}: {error}") from None
        elif isinstance(value, dict):
            waiting.extend((child, depth + 1) for child in (*value, *value.values()))
        elif isinstance(value, list):
            waiting.extend((child, depth + 1) for child in value)


def _located(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    problem = printable(error.problem or "it ends in the middle")
    if "'\\t'" in problem:
        problem += "; indent with spaces, not with tabs"
    return (
        problem
        if mark is None
        else f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    )


_TOO_MANY = f"more than {MAX_VALUES:,} values, each alias counted as all that it stands for"
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
