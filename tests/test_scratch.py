"""Temporary files of a command lie in a folder of its own, which is gone when the command is."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lenssim.scratch import temporary_files

WRITE = """
import os, subprocess, sys, tempfile
from lenssim.scratch import temporary_files
with temporary_files():
    tempfile.mkdtemp()
    subprocess.run([sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp(), flush=True)"])
    if sys.argv[1:]:
        input()
"""


@pytest.fixture
def places():
    """A short cache and a TMPDIR: sockets cannot have long paths."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        cache, temporary = Path(folder, "c"), Path(folder, "t")
        temporary.mkdir()
        yield cache, temporary


def begin(cache: Path, temporary: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "LENSSIM_CACHE": str(cache), "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_nothing_stays_of_a_process_that_ended_or_was_killed(places):
    cache, temporary = places
    killed, living = begin(*places, "wait"), begin(*places, "wait")
    of_killed, of_living = (
        Path(process.stdout.readline().strip()).parent for process in (killed, living)
    )
    assert {of_killed.parent, of_living.parent} == {cache / "tmp"}
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert of_killed.exists()
    begin(*places).communicate()  # the next one removes it, and not what lives
    assert entries(cache / "tmp") == [of_living.name, f"{of_living.name}.lock"]
    living.communicate("\n")
    assert entries(cache / "tmp") == []
    assert entries(temporary) == []


@pytest.mark.parametrize("cache", ["/proc/absent", "/tmp/" + "long" * 25])
def test_where_the_cache_cannot_be_used_tmpdir_is_and_is_left_empty(places, cache):
    _, temporary = places
    process = begin(Path(cache), temporary)
    out, _ = process.communicate()
    assert Path(out.strip()).parent.parent == temporary
    assert entries(temporary) == []


def test_a_killed_process_in_tmpdir_is_swept_too(places):
    _, temporary = places
    killed = begin(Path("/proc/absent"), temporary, "wait")
    killed.stdout.readline()
    killed.kill()
    killed.communicate()
    begin(Path("/proc/absent"), temporary).communicate()
    assert entries(temporary) == []


def test_afterwards_everything_is_as_before(monkeypatch, places):
    monkeypatch.setenv("TMPDIR", str(places[1]))
    before = tempfile.gettempdir()
    with temporary_files():
        assert tempfile.gettempdir() == os.environ["TMPDIR"] != before
    assert tempfile.gettempdir() == before
    assert os.environ["TMPDIR"] == str(places[1])
