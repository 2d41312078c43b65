"""What a display says, on a terminal and elsewhere."""

import io
import random
import sys
import time

import pytest

from lenssim.api import progress as display
from lenssim.cli.progress import samples_bar
from lenssim.data.generation.progress import Progress

STATES = {"tcp://a:1": "shard 7", "tcp://b:2": "idle"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by a minute a look."""
    now = [0.0]

    def look() -> float:
        now[0] += 60
        return now[0]

    monkeypatch.setattr(display.time, "monotonic", look)
    return time


def test_lines_tell_rate_time_left_and_trouble(capsys, clock):
    with samples_bar("generating") as report:
        report(Progress(10, 100, 10))
        report(Progress(20, 100, 10))
        report(Progress(40, 100, 10, failed=20, retried=3, workers=STATES))
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("generating 40 of 100 ")
    assert "left, 20 failed, 3 tried again, 2 workers" in last


def test_a_phase_before_the_first_image_is_told(capsys, clock):
    with samples_bar("generating") as report:
        report(Progress(0, 100, 0, phase="compiling kernels 0/7"))
        report(Progress(0, 100, 0, phase="compiling kernels 3/7, about 20 s left"))
        report(Progress(0, 100, 0))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "generating 0 of 100 compiling kernels 0/7"
    assert lines[-2].endswith("compiling kernels 3/7, about 20 s left")
    assert lines[-1].endswith("starting")


def test_a_terminal_shows_every_worker(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    state = random.getstate()  # rich numbers its styles with it
    many = {f"tcp://c:{i}": f"shard {i}" for i in range(30)}
    with samples_bar("generating") as report:
        report(Progress(40, 100, 10, failed=20, retried=3, workers=STATES))
        report(Progress(50, 100, 10, failed=20, retried=3, workers=STATES | many))
    random.setstate(state)
    text = screen.getvalue()
    for words in (
        "50/100",
        "20 failed",
        "3 tried again",
        "tcp://a:1: shard 7",
        "tcp://b:2: idle",
        "and 16 more workers",
    ):
        assert words in text, words
