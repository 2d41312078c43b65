"""How the code and the documents read, as far as it can be counted: no figure may get worse."""

from pathlib import Path

import pytest
from readability import Source, prose_figures, quantile, sentence_lengths

ROOT = Path(__file__).resolve().parents[1]
AT_MOST = {
    "vague names, %": 0.9,
    "parallel assignments / 1000 lines": 0.5,
    "conditional expressions / 1000 lines": 7.0,
    "code line, 90 % below": 77,
    "function, median lines": 10,  # docstrings with Args, Returns and Raises included
    "function without docstring, median lines": 7,
    "function, 95 % below": 33,
    "function without docstring, 95 % below": 24,
    "words a sentence": 13.5,
    "sentences above 35 words, %": 0.5,
}
AT_LEAST = {"docstrings with an example": 260}


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    source = Source()
    for path in sorted((ROOT / "lenssim").rglob("*.py")):
        source.add(path.read_text(encoding="utf-8"))
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    prose = prose_figures(page.read_text(encoding="utf-8") for page in pages)
    return source.figures() | prose


@pytest.mark.parametrize("name", AT_MOST)
def test_a_figure_does_not_rise(figures, name):
    assert figures[name] <= AT_MOST[name]


@pytest.mark.parametrize("name", AT_LEAST)
def test_a_figure_does_not_fall(figures, name):
    assert figures[name] >= AT_LEAST[name]


def test_all_figures_have_a_limit(figures):
    assert set(figures) == AT_MOST.keys() | AT_LEAST.keys()


def test_what_is_counted():
    source = Source()
    source.add('''
def outer(rows):
    """Say something.

    >>> outer([])
    """
    # a comment is no line of code
    own, size = rows, len(rows)
    first, second = rows
    return size if own else None
''')
    assert source.names == ["own", "size", "first", "second"]
    assert (source.parallels, source.conditionals, source.examples) == (1, 1, 1)
    assert (source.function_lines, source.body_lines) == ([9], [5])
    assert len(source.line_lengths) == 4
    assert source.figures()["vague names, %"] == 50


def test_a_sentence_is_counted_without_its_code_and_links():
    page = "# No title\n\nRead [the long page](docs/x.md) of `a b c` now. It ends here.\n\n| a table |\n"
    assert list(sentence_lengths(page)) == [7, 3]
    assert prose_figures([page])["words a sentence"] == 5
    assert quantile(range(100), 0.95) == 95
