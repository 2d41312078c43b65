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


@pytest.fixture(scope="session")
def workplace(tmp_path_factory) -> Path:
    """A folder with data/III (300 images), and runs/cnn and runs/sie trained on it for an epoch."""
    import lightning.pytorch  # noqa: F401 - now, because importing it draws a random number

    folder = tmp_path_factory.mktemp("workplace")
    data = package.generate("III", 300, folder / "data" / "III", workers=0)
    for name, task, settings in (
        ("cnn", "classify", {}),
        ("sie", "regress", {"targets": "e1,e2", "head": "diagonal"}),
    ):
        package.train(task, data, out=folder / "runs" / name, epochs=1, **settings)
    for config in folder.glob("runs/*/run.json"):
        text = config.read_text()
        config.write_text(text.replace(str(folder / "data" / "III"), "data/III"))
    return folder


@pytest.mark.parametrize("path", MODULES, ids=module_name)
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
