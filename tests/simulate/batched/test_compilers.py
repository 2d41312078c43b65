"""Helpers compile the kernels announced, except those that another process compiles."""

import fcntl
import io
import pickle

import pytest

from lenssim.simulate.engines.batched import compilers, kernels

JOBS = [(f"module:kernel_{number}", (number,)) for number in range(3)]


@pytest.fixture
def started(monkeypatch):
    """The lists of jobs that helpers are started with, on a machine of three cores."""
    lists: list[list[compilers.Job]] = []
    monkeypatch.setattr(compilers, "_start_helper", lambda jobs, lock: lists.append(jobs))
    monkeypatch.setattr(compilers, "available_cores", lambda: 3)
    monkeypatch.setattr(compilers, "available_memory", lambda: 64e9)
    return lists


def test_they_begin_at_the_end_and_each_elsewhere(started, tmp_path):
    compilers.announce(JOBS)
    compilers.start_helpers(tmp_path)
    assert started == [[JOBS[2], JOBS[1], JOBS[0]], [JOBS[1], JOBS[0], JOBS[2]]]
    compilers.start_helpers(tmp_path)
    assert len(started) == 2, "the jobs were announced once"
    assert not list(tmp_path.iterdir())


def test_waiting_helpers_are_handed_all_jobs_each_from_another_one_on(started, monkeypatch):
    lists = []
    monkeypatch.setattr(compilers, "_start_process", lambda **options: lists)
    monkeypatch.setattr(compilers, "_tell", lambda helper, jobs: helper.append(jobs))
    helpers = compilers.waiting_compilers(2)
    assert len(helpers) == 2
    compilers.hand_out(JOBS, helpers)
    assert lists == [[JOBS[2], JOBS[1], JOBS[0]], [JOBS[1], JOBS[0], JOBS[2]]]


def test_waiting_helpers_that_are_handed_nothing_end(monkeypatch):
    monkeypatch.setattr(compilers, "_started", [])
    helper = compilers._start_process()
    compilers.hand_out([], [helper])
    assert helper.wait() != 0


@pytest.mark.parametrize(("told", "jobs"), [(b"", []), (pickle.dumps(JOBS), JOBS)])
def test_a_helper_of_a_process_that_has_ended_has_no_jobs(told, jobs):
    assert compilers._jobs_in(io.BytesIO(told)) == jobs


@pytest.mark.parametrize(("cores", "memory"), [(1, 64e9), (3, 1.5e9)])
def test_there_are_none_without_a_free_core_or_memory(
    started, tmp_path, monkeypatch, cores, memory
):
    monkeypatch.setattr(compilers, "available_cores", lambda: cores)
    monkeypatch.setattr(compilers, "available_memory", lambda: memory)
    compilers.announce(JOBS)
    compilers.start_helpers(tmp_path)
    assert not started


def test_one_group_of_them_works_in_a_folder(started, tmp_path):
    with (tmp_path / "helpers.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        compilers.announce(JOBS)
        compilers.start_helpers(tmp_path)
    assert not started


def test_a_helper_leaves_out_what_others_compile_and_what_fails(tmp_path, monkeypatch):
    compiled = []

    def compile_kernel(package):
        with kernels._locked(tmp_path, package):
            assert package != "bad"
            compiled.append(package)

    monkeypatch.setattr(compilers, "waits", True)
    monkeypatch.setattr(compilers, "load", lambda name: compile_kernel)
    with kernels._locked(tmp_path, "taken"):
        compilers.help_out([("", (package,)) for package in ("taken", "bad", "free")])
    assert compiled == ["free"]
