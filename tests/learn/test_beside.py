"""Work side by side, with real processes; work is functions that any process can import."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lenssim.errors import ConfigError, LenssimError
from lenssim.learn.recipes.processes import Job, run_jobs
from lenssim.learn.tasks import parse_config

pytestmark = pytest.mark.thorough


def writing(path, text="x"):
    return Job(f"write {path.name}", Path.write_text, (path, text))


def shell(name, command):
    return Job(name, subprocess.run, (["sh", "-c", command],))


BAD = Job("run a", parse_config, ({"data": "d", "net": "cnnn"}, "training"))


def test_all_is_done_and_told(tmp_path):
    told = []
    run_jobs([writing(tmp_path / str(k), str(k)) for k in range(5)], 2, told.append)
    assert sorted(told) == [f"write {k}" for k in range(5)]
    assert [(tmp_path / str(k)).read_text() for k in range(5)] == list("01234")
    run_jobs([], 2)


def test_several_are_in_hand_at_a_time(tmp_path):
    """Each of two waits for the other."""
    os.mkfifo(tmp_path / "pipe")
    run_jobs(
        [Job("read", Path.read_text, (tmp_path / "pipe",)), writing(tmp_path / "pipe")], 2
    )


def test_after_an_error_nothing_is_begun_and_it_is_raised_with_the_name_of_its_piece(
    tmp_path,
):
    with pytest.raises(ConfigError, match=r"run a: .*did you mean 'cnn'"):
        run_jobs([BAD, writing(tmp_path / "after")], 1)
    assert not (tmp_path / "after").exists()


def test_what_is_in_hand_beside_an_error_goes_on_to_its_end(tmp_path):
    with pytest.raises(ConfigError):
        run_jobs([shell("slow", f"sleep 2; echo done > {tmp_path}/slow"), BAD], 2)
    assert (tmp_path / "slow").read_text() == "done\n"


@pytest.mark.parametrize(
    ("piece", "how"),
    [
        (Job("run b", os._exit, (7,)), "run b: its process ended by exit code 7"),
        (Job("run b", os.abort, ()), "run b: its process ended by SIGABRT"),
        (
            shell("run b", "kill -9 $PPID"),
            "run b: its process ended by SIGKILL; .*memory.*fewer at a time",
        ),
    ],
)
def test_a_process_that_dies_is_named_with_its_end(piece, how):
    with pytest.raises(LenssimError, match=how):
        run_jobs([piece], 2)


PROGRAM = """
import subprocess
from lenssim.learn.recipes.processes import Job, run_jobs
if __name__ == "__main__":
    command = "trap 'echo saved > saved; exit' TERM; echo > begun; while :; do sleep 0.05; done"
    run_jobs([Job("work", subprocess.run, (["sh", "-c", f"exec setpriv --pdeathsig TERM sh -c \\"{command}\\""],))], 2)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_in_hand_ends_with_its_parent(tmp_path, number):
    """Whatever ends the parent, by its own will or not: nothing goes on by itself, and it may save what it has."""
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        signal.sigtimedwait([], 0.05)
    process.send_signal(number)
    assert process.wait() == (143 if number == signal.SIGTERM else -number)
    for _ in range(200):
        if (tmp_path / "saved").exists():
            return
        signal.sigtimedwait([], 0.05)
    raise AssertionError("the work goes on")
