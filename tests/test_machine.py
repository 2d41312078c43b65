"""What the machine gives: by control groups, by limits, and on systems that know less than Linux."""

import ast
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import lenssim
from lenssim import machine

PACKAGE = Path(lenssim.__file__).parent
ONLY_SOME_SYSTEMS = {  # names of modules and attributes, and files
    "resource",
    "sched_getaffinity",
    "process_cpu_count",
    "cpu_count",
    "preadv",
    "posix_fadvise",
    "posix_fallocate",
    "copy_file_range",
    "sendfile",
    "memfd_create",
    "pidfd_open",
    "sched_setaffinity",
    "ru_maxrss",
    "getrusage",
    "prctl",
}


@pytest.fixture
def groups(tmp_path, monkeypatch) -> Path:
    """An empty tree of control groups in the place of this machine's."""
    monkeypatch.setattr(machine, "_CONTROL_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_PROCESS", tmp_path / "self")
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: set(range(64)), raising=False
    )
    (tmp_path / "self").mkdir()
    return tmp_path


def put(groups: Path, name: str, text: str) -> None:
    path = groups / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("process", "files", "cores", "memory"),
    [
        ("", {}, 64, None),
        ("0::/\n", {"memory.max": "2147483648\n", "cpu.max": "150000 100000\n"}, 2, 2**31),
        (
            "0::/job/step\n",
            {"job/memory.max": "1073741824\n", "job/step/memory.max": "max\n"},
            64,
            2**30,
        ),
        (
            "0::/job/step\n",
            {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "400000 100000\n"},
            4,
            None,
        ),
        ("0::/job\n", {"job/memory.high": "1073741824\n"}, 64, 2**30),
        ("0::/../outside\n", {"memory.max": "1073741824\n"}, 64, 2**30),
        ("0::/elsewhere\n", {"memory.max": "1073741824\n"}, 64, 2**30),
        (
            "9:memory:/slurm/job_7/step_0\n4:cpu,cpuacct:/slurm\n",
            {
                "memory/slurm/job_7/memory.limit_in_bytes": "1073741824\n",
                "memory/slurm/job_7/step_0/memory.limit_in_bytes": "9223372036854771712\n",
                "cpu/slurm/cpu.cfs_quota_us": "800000\n",
                "cpu/slurm/cpu.cfs_period_us": "100000\n",
            },
            8,
            2**30,
        ),
        (
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            64,
            None,
        ),
        (
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "1\n", "cpu/cpu.cfs_period_us": "0\n"},
            64,
            None,
        ),
    ],
)
def test_limits_of_control_groups(groups, process, files, cores, memory):
    unlimited = machine.available_memory()
    put(groups, "self/cgroup", process)
    for name, text in files.items():
        put(groups, f"cgroup/{name}", text)
    assert machine.available_cores() == cores
    assert machine.available_memory() == min(unlimited, memory or unlimited)


def test_the_resident_limit_counts(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10**9, 10**9))
    assert machine.available_memory() <= 10**9


def test_systems_that_know_less(monkeypatch, tmp_path):
    """A Mac has no affinity, no /proc, and counts the peak in bytes; an old one has no preadv."""
    resource = pytest.importorskip("resource")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "preadv", raising=False)
    monkeypatch.setattr(machine, "_PROCESS", tmp_path / "absent")
    assert machine.available_cores() == os.cpu_count()
    assert machine.available_memory() > 0
    machine.reset_peak_resident()
    counted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "darwin")
    assert counted <= machine.peak_resident_bytes() < 100 * counted
    monkeypatch.setattr(sys, "platform", "linux")
    assert machine.peak_resident_bytes() >= 1024 * counted


@pytest.mark.parametrize("without", [False, True])
def test_arrays_are_filled_from_a_place_in_a_file(tmp_path, monkeypatch, without):
    if without:
        monkeypatch.delattr(os, "preadv", raising=False)
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    path = tmp_path / "values"
    path.write_bytes(b"head" + values.tobytes())
    with path.open("rb") as file:
        target = np.zeros_like(values)
        assert machine.read_at(file.fileno(), target, 4) == values.nbytes
        assert (target == values).all()
        assert machine.read_at(file.fileno(), target, 4 + 48) == 48  # the file ends within


def named(path: Path) -> set[str]:
    """Names of modules, attributes and strings in a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module).split(".")[0], *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_only_one_module_calls_what_only_some_systems_have(path):
    names = named(path)
    if path.name == "machine.py":
        assert {"sched_getaffinity", "resource"} <= names
        return
    assert not names & ONLY_SOME_SYSTEMS
    assert not [name for name in names if name.startswith("/proc")]
