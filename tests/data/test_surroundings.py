"""Checks of the machine: what doctor shows, what a run refuses at once, and what is no sample's fault."""

import errno
import json
import resource
import socket

import pytest
from error_codes import has_code

from lenssim.data.generation import surroundings
from lenssim.data.generation.failures import attempt
from lenssim.data.generation.simulation import make_plan
from lenssim.data.generation.surroundings import FAIL, OK, WARN, Finding, examine, require
from lenssim.errors import SurroundingsError
from lenssim.simulate.preset import load_preset


def without_loopback(monkeypatch):
    def refused(*arguments, **options):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_server", refused)


def with_few_files(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (70, 70))


def with_little_memory(monkeypatch):
    monkeypatch.setattr(surroundings.machine, "available_memory", lambda: 1 << 29)


def with_a_broken_compiler(monkeypatch):
    monkeypatch.setattr(surroundings, "compiler", lambda: "/bin/false")


def without_a_compiler(monkeypatch):
    monkeypatch.setattr(surroundings, "compiler", lambda: None)


def without_a_cache(monkeypatch):
    monkeypatch.setenv("LENSSIM_CACHE", "/proc/x")


CASES = {
    without_loopback: ("loopback", FAIL),
    with_few_files: ("open files", FAIL),
    with_little_memory: ("memory", FAIL),
    with_a_broken_compiler: ("C++ compiler", FAIL),
    without_a_compiler: ("C++ compiler", WARN),
    without_a_cache: ("kernel cache", WARN),
}


@pytest.mark.parametrize(
    ("spoil", "wanted"), CASES.items(), ids=lambda case: getattr(case, "__name__", "")
)
def test_doctor_sees_what_is_wrong_and_how_to_mend_it(spoil, wanted, lenssim, monkeypatch):
    spoil(monkeypatch)
    done = lenssim("doctor", "--json", "--workers", 2)
    document = json.loads(done.out)
    (finding,) = [
        Finding(**check) for check in document["checks"] if check["check"] == wanted[0]
    ]
    assert finding.state == wanted[1], finding
    assert finding.mend
    failed = any(check["state"] == FAIL for check in document["checks"])
    assert done.code == int(failed)
    assert document["ok"] == (not failed)
    shown = lenssim("doctor", "--workers", 2)
    assert shown.code == done.code
    assert wanted[0] in shown.out


@pytest.mark.parametrize(
    "spoil", [without_loopback, with_few_files], ids=lambda case: case.__name__
)
def test_a_run_with_workers_refuses_before_its_first_shard(
    spoil, lenssim, monkeypatch, tmp_path
):
    spoil(monkeypatch)
    done = lenssim(
        "generate", "-m", "III", "-n", 128, "--shard-size", 64, "--workers", 2, "-o", "D"
    )
    assert done.code == 2
    assert "--workers 0" in done.err
    assert not (tmp_path / "D").exists()
    require(0)  # alone it works


@pytest.mark.thorough
def test_a_run_that_can_compile_nowhere_refuses_before_its_first_shard(
    lenssim, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        surroundings.cache, "temporary_fault", lambda folder: "Read-only file system"
    )
    monkeypatch.setenv("LENSSIM_CACHE", "/proc/x")
    monkeypatch.setattr("lenssim.simulate.engines.batched.settings.compiler", lambda: "g++")
    done = lenssim("generate", "-m", "III", "-n", 3, "--workers", 0, "-o", "D")
    assert done.code == 2
    assert "set TMPDIR to a folder of your own" in done.err
    assert "repeat the command" not in done.err
    assert not (tmp_path / "D").exists()


def test_every_check_has_a_state_and_a_text():
    for finding in examine(0):
        assert finding.state in (OK, WARN, FAIL)
        assert finding.text


@pytest.mark.parametrize("code", [errno.EROFS, errno.EMFILE, errno.EAGAIN, errno.EACCES])
def test_what_the_system_refuses_is_no_fault_of_a_sample(code, tmp_path):
    plan = make_plan(load_preset("III"), 3, engine_name="lenstronomy")
    tries = []

    def refused(folder, document, shard):
        tries.append(shard)
        raise OSError(code, "refused", "/some/file")

    def blame(plan, shard):
        raise AssertionError("samples were blamed")

    with pytest.raises(
        SurroundingsError,
        match=r"/some/file: refused; no sample is at fault",
        check=has_code("surroundings"),
    ):
        attempt(refused, blame, str(tmp_path), plan.model_dump(mode="json"), 0)
    assert tries == [0, 0]
    assert not (tmp_path / "failures").exists()


def test_a_missing_tmpdir_is_not_needed(lenssim, monkeypatch):
    """Temporary files lie in the cache, so a bad TMPDIR harms nothing."""
    monkeypatch.setattr(surroundings.cache.tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "/proc/x")
    checks = json.loads(lenssim("doctor", "--json").out)["checks"]
    (finding,) = [check for check in checks if check["check"] == "temporary files"]
    assert finding["state"] == "ok"
