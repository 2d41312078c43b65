"""YAML as people write it, read strictly: nothing is taken for something that was not meant.

Plain words are words: of YAML 1.1's `yes`, `no`, `on` and `off` none is a truth value, `12:30:00` is
no number and 2024-01-01 no date. Numbers follow YAML 1.2's core schema. Keys are texts. A key that
comes twice, a tag, a number that no float holds and a file that grows beyond limits are refused.
"""

import re
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
from lenssim.formats.texts import (
    MAX_DEPTH,
    MAX_VALUES,
    TOO_DEEP,
    TOO_MANY,
    RefusedError,
    finite_float,
    finite_integer,
    read_text,
    whole_letters,
)
from lenssim.names import printable

__all__ = ["parse_yaml", "read_yaml"]

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
    except RefusedError as error:
        raise ConfigError(f"{where}: {error}", code="text-invalid", where=where) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(
            f"{where} is not YAML: {_located(error)}", code="text-invalid", where=where
        ) from None
    except yaml.YAMLError as error:
        reason = printable(" ".join(str(error).split()))
        raise ConfigError(
            f"{where} is not YAML: {reason}", code="text-invalid", where=where
        ) from None


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
            raise RefusedError(f"line {line}: {TOO_DEEP}")
        if self.composed > MAX_VALUES:
            raise RefusedError(f"line {line}: {TOO_MANY}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if id(node) not in self.sizes:
            if isinstance(event, yaml.AliasEvent):
                raise RefusedError(
                    f"line {line}: an alias stands inside of what it stands for"
                )
            self.sizes[id(node)] = _measured(node, self.sizes)
        values, levels = self.sizes[id(node)]
        if values > MAX_VALUES:
            raise RefusedError(f"line {line}: {TOO_MANY}")
        if levels + self.depth > MAX_DEPTH:
            raise RefusedError(f"line {line}: {TOO_DEEP}")
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
            raise RefusedError(
                f"line {line}: a key must be a word or number, not a list or mapping"
            )
        key.value = whole_letters(key.value)
        if key.value in lines:
            name = printable(key.value)
            raise RefusedError(
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
            raise RefusedError(
                f"line {line}: not YAML as lenssim reads it: remove the tag {tag}"
            )
        if isinstance(node, MappingNode):
            return self._mapping(node)
        if isinstance(node, SequenceNode):
            return [self.value(child) for child in node.value]
        try:
            return (
                whole_letters(node.value) if node.tag == _TEXT else _plain_value(node.value)
            )
        except RefusedError as error:
            raise RefusedError(f"line {line}: {error}") from None

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == _PLAIN and key.value == "<<":
                merged = self._merged(child)
            else:
                values[key.value] = self.value(child)
        return merged | values

    def _merged(self, node: Node) -> dict[str, Any]:
        """All keys of the mapping, or list of mappings, that a key `<<` names; the first one wins."""
        value = self.value(node)
        mappings = value if isinstance(value, list) else [value]
        merged: dict[str, Any] = {}
        for mapping in mappings:
            if not isinstance(mapping, dict):
                line = node.start_mark.line + 1
                raise RefusedError(
                    f"line {line}: << takes a mapping, or a list of mappings"
                )
            merged = mapping | merged
        return merged


def _plain_value(text: str) -> Any:
    """The value of a scalar without quotes, by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _LEADING_ZERO.fullmatch(text):
        raise RefusedError(
            f'{text} begins with 0: write it without, or as a text, "{text}"'
        )
    if _INTEGER.fullmatch(text):
        return finite_integer(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return finite_float(text.replace(".inf", "inf").replace(".nan", "nan"))
    return text


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
