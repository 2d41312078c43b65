"""Figures of how the code and the documents read, from syntax trees and sentences."""

import ast
import re
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

VAGUE = frozenset(
    [
        "above",
        "again",
        "alike",
        "alone",
        "apart",
        "asked",
        "began",
        "begun",
        "below",
        "done",
        "drawn",
        "each",
        "ended",
        "few",
        "found",
        "first",
        "given",
        "held",
        "here",
        "inside",
        "kept",
        "known",
        "last",
        "least",
        "left",
        "like",
        "made",
        "many",
        "more",
        "most",
        "near",
        "off",
        "one",
        "other",
        "others",
        "own",
        "read",
        "rest",
        "right",
        "said",
        "seen",
        "shown",
        "several",
        "single",
        "some",
        "taken",
        "there",
        "together",
        "told",
        "usual",
        "used",
        "wanted",
        "whole",
        "within",
        "wrong",
        "came",
    ]
)
LONG_SENTENCE = 35  # words
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def quantile(numbers: Iterable[float], share: float) -> float:
    """Return the number below which this share of the numbers lies.

    >>> quantile([1, 2, 3, 4], 0.5)
    3
    """
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Source:
    """What was counted in modules so far: add them one by one."""

    names: list[str] = field(default_factory=list)
    line_lengths: list[int] = field(default_factory=list)
    function_lines: list[int] = field(default_factory=list)
    body_lines: list[int] = field(default_factory=list)
    conditionals: int = 0
    parallels: int = 0
    examples: int = 0

    def add(self, text: str) -> None:
        """Count a module."""
        tree = ast.parse(text)
        prose: set[int] = set()
        for node in ast.walk(tree):
            docstring = _docstring(node)
            if docstring is not None:
                prose.update(range(docstring.lineno, docstring.end_lineno + 1))
                self.examples += ">>>" in docstring.value
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1
                self.function_lines.append(lines)
                if docstring is not None:
                    lines -= docstring.end_lineno - docstring.lineno + 1
                self.body_lines.append(lines)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.names.append(node.id)
            self.conditionals += isinstance(node, ast.IfExp)
            self.parallels += _is_parallel(node)
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and number not in prose and not line.strip().startswith("#"):
                self.line_lengths.append(len(line.rstrip()))

    def figures(self) -> dict[str, float]:
        """Return all figures by name."""
        lines = len(self.line_lengths)
        vague = sum(name.lower().strip("_") in VAGUE for name in self.names)
        return {
            "vague names, %": 100 * vague / len(self.names),
            "parallel assignments / 1000 lines": 1000 * self.parallels / lines,
            "conditional expressions / 1000 lines": 1000 * self.conditionals / lines,
            "code line, 90 % below": quantile(self.line_lengths, 0.9),
            "function, median lines": statistics.median(self.function_lines),
            "function, 95 % below": quantile(self.function_lines, 0.95),
            "function without docstring, median lines": statistics.median(self.body_lines),
            "function without docstring, 95 % below": quantile(self.body_lines, 0.95),
            "docstrings with an example": self.examples,
        }


def _docstring(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, _DOCUMENTED) or not node.body:
        return None
    head = node.body[0]
    if not isinstance(head, ast.Expr) or not isinstance(head.value, ast.Constant):
        return None
    return head.value if isinstance(head.value.value, str) else None


def _is_parallel(node: ast.AST) -> bool:
    """Tell whether a node is an assignment such as `a, b = c, d`."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
        and len(node.targets[0].elts) == len(node.value.elts)
    )


def sentence_lengths(markdown: str) -> Iterator[int]:
    """Yield the words of each sentence of a page: without code, tables, headings and links.

    >>> list(sentence_lengths("# Title\\n\\nOne two three. Four `x = 1` five six."))
    [3, 4]
    """
    text = re.sub(r"```.*?```", " ", markdown, flags=re.DOTALL)
    text = re.sub(r"^\s*\|.*$", " ", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "X", text)
    text = re.sub(r"^(#|    ).*$", " ", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n|\n\s*[-*] |\n\s*\d+\. ", text):
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z`X])", paragraph.replace("\n", " ")):
            words = len(re.findall(r"[A-Za-z][A-Za-z'-]*", sentence))
            if words >= 3:
                yield words


def prose_figures(pages: Iterable[str]) -> dict[str, float]:
    """Return the figures of Markdown pages."""
    lengths = [length for page in pages for length in sentence_lengths(page)]
    long = sum(length > LONG_SENTENCE for length in lengths)
    return {
        "words a sentence": statistics.mean(lengths),
        "sentences above 35 words, %": 100 * long / len(lengths),
    }
