"""The examples in docstrings run, in a folder that holds the data set and the runs that they name."""

import doctest
import importlib
from pathlib import Path

import pytest

import lenssim as package

ROOT = Path(package.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if ">>> " in path.read_text())
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_dear(path: Path) -> bool:
    """Whether the examples of a module follow a whole recipe, or draw a survey."""
    return path.parent.name == "api" and path.name in ("recipes.py", "surveys.py")


EXAMPLES = [
    pytest.param(path, id=module_name(path), marks=[pytest.mark.thorough] * is_dear(path))
    for path in MODULES
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_run(request, tmp_path, monkeypatch, path):
    module = importlib.import_module(module_name(path))
    text = path.read_text()
    needs_files = any(name in text for name in ("data/III", "runs/"))
    monkeypatch.chdir(request.getfixturevalue("workplace") if needs_files else tmp_path)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    failures: list[str] = []
    for test in doctest.DocTestFinder().find(module):
        runner.run(test, out=failures.append)
    assert not runner.failures, "".join(failures)


def test_there_are_examples():
    assert len(MODULES) > 5
