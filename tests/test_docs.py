"""The documents' code runs: every block that follows `<!-- run -->` is executed; commands alone in this process."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lenssim.data.generation.simulation import generate, make_plan
from lenssim.simulate.preset import load_preset

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"<!-- run -->\n```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+\.\w+)?(?:#([^)\s]+))?\)")
ANCHOR = re.compile(r"^#+ (.*)$|<a id=\"([^\"]+)\">", re.MULTILINE)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RUNNABLE = [
    (path, *match.groups())
    for path in DOCUMENTS
    for match in BLOCK.finditer(path.read_text())
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """A folder in which a reader of Getting started has made data/III."""
    folder = tmp_path_factory.mktemp("reader")
    generate(folder / "data" / "III", make_plan(load_preset("III"), 64))
    return folder


@pytest.mark.thorough
@pytest.mark.dask
@pytest.mark.parametrize(
    ("path", "language", "code"),
    RUNNABLE,
    ids=[f"{p.name}-{i}" for i, (p, *_) in enumerate(RUNNABLE)],
)
def test_code_in_documents_runs(reader, lenssim, monkeypatch, path, language, code):
    if all(
        line.startswith("lenssim ") for line in code.splitlines()
    ):  # in this process: importing takes longer
        monkeypatch.chdir(reader)
        for line in code.splitlines():
            done = lenssim(*shlex.split(line)[1:])
            assert done.code == 0, f"{path.name}:\n{line}\n{done.err}"
            assert done.out
        return
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = (
        [sys.executable, "-c", code]
        if language == "python"
        else ["bash", "-ec", code.replace("uv run ", "")]
    )
    done = subprocess.run(
        command, cwd=reader, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{path.name}:\n{code}\n{done.stderr}"
    assert done.stdout


def anchors(path: Path) -> set[str]:
    """The anchors of a page: its headings as GitHub names them, and those written out."""
    names = set()
    for heading, identifier in ANCHOR.findall(path.read_text()):
        names.add(identifier or re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path):
    for target, anchor in LINK.findall(path.read_text()):
        page = path.parent / target if target else path
        assert page.exists(), f"{path.name} links to {target}"
        if anchor:
            assert anchor in anchors(page), f"{path.name} links to {target}#{anchor}"


OLD_SECTIONS = {  # readers have links to these sections of the old page of benchmarks
    "learning-the-quickstart",
    "learning-from-what-a-fit-leaves",
    "learning-model-iii-at-its-published-size-by-muon",
    "measuring-lenses-of-all-sizes",
    "leak-audits",
}


def test_old_links_to_the_benchmarks_still_work():
    assert anchors(ROOT / "docs" / "benchmarks.md") >= OLD_SECTIONS


def test_there_is_something_to_run():
    assert {path.name for path, *_ in RUNNABLE} >= {"data-format.md", "getting-started.md"}
