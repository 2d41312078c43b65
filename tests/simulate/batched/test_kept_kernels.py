"""Where compiled kernels are kept and loaded from, whatever the cache and the temporary folder are like."""

import os
import stat
import sys
from pathlib import Path

import pytest
import torch
from error_codes import has_code
from torch._inductor import codecache
from torch._inductor.runtime import cache_dir_utils

from lenssim import cache, notes
from lenssim.errors import ConfigError, SurroundingsError
from lenssim.simulate.engines.batched import kernels
from lenssim.simulate.engines.batched.inductor import private_inductor

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


class Twice(torch.nn.Module):
    """Twice."""

    def forward(self, x):
        return 2 * x


@pytest.fixture
def said(monkeypatch, tmp_path):
    """A run of its own with a compiler that writes its name, and a loader that reads it; yields what is said."""
    lines: list[str] = []
    monkeypatch.setattr(notes, "_said", set())
    monkeypatch.setattr(notes, "say", lines.append)
    monkeypatch.setattr(kernels, "say", lines.append)
    monkeypatch.setattr(kernels, "compiler", lambda: "g++")
    monkeypatch.setattr(
        kernels,
        "compile_module",
        lambda module, example, dynamic, target, config: target.write_text("ours"),
    )
    monkeypatch.setattr(kernels, "load_package", loaded)
    monkeypatch.setattr(kernels, "private_inductor", cache.private_compilers)
    for name in ("TORCHINDUCTOR_CACHE_DIR", notes.RUN_FOLDER):
        monkeypatch.setenv(name, "")  # whatever the code puts there goes with the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(cache.tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path / "cache"))
    return lines


def loaded(path: Path):
    if path.read_text() == "damaged":
        raise RuntimeError("not a zip archive")
    return path


def made(size: int = 3) -> Path:
    """Path of the kernel that `kernel` takes for vectors of a size."""
    return kernels.kernel(Twice(), (torch.ones(size),), "twice", (None,), compiled=True)


def under_proc(tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSIM_CACHE", "/proc/x")


def file_for_a_folder(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("")


def link_to_nowhere(tmp_path, monkeypatch):
    (tmp_path / "cache").symlink_to(tmp_path / "nowhere")


def link_to_itself(tmp_path, monkeypatch):
    (tmp_path / "cache").symlink_to(tmp_path / "cache")


def name_too_long(tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path / ("x" * 300)))


def no_home(tmp_path, monkeypatch):
    for name in ("LENSSIM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "nowhere")


def no_room(tmp_path, monkeypatch):
    free = cache.refusal
    monkeypatch.setattr(
        cache,
        "refusal",
        lambda folder, room=0: "full" if "cache" in folder.parts else free(folder, room),
    )


def planted(tmp_path, mode=0o755, owner=None, root_mode=0o755):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(parents=True)
    package = folder / f"{kernels._key((torch.ones(3),), 'twice', (None,))}.pt2"
    package.write_text("planted")
    folder.chmod(mode)
    folder.parent.chmod(root_mode)
    if owner is not None:
        os.chown(folder, owner, owner)
        os.chown(package, owner, owner)


def folder_of_everybody(tmp_path, monkeypatch):
    planted(tmp_path, mode=0o777)


def sticky_folder_of_everybody(tmp_path, monkeypatch):
    planted(tmp_path, mode=0o1777)


def cache_of_everybody(tmp_path, monkeypatch):
    planted(tmp_path, root_mode=0o777)


def cache_below_a_folder_of_everybody(tmp_path, monkeypatch):
    planted(tmp_path)
    tmp_path.chmod(0o777)


def folder_of_another_user(tmp_path, monkeypatch):
    planted(tmp_path, owner=NOBODY)


UNUSABLE = [
    under_proc,
    file_for_a_folder,
    link_to_nowhere,
    link_to_itself,
    name_too_long,
    no_home,
    no_room,
    folder_of_everybody,
    sticky_folder_of_everybody,
    cache_of_everybody,
    cache_below_a_folder_of_everybody,
    pytest.param(folder_of_another_user, marks=as_root),
]


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_an_unusable_cache_costs_a_compilation_and_is_said_once(
    spoil, said, tmp_path, monkeypatch
):
    spoil(tmp_path, monkeypatch)
    first, second, again = made(3), made(4), made(3)
    assert again == first != second
    assert {path.read_text() for path in (first, second)} == {"ours"}, (
        "a planted kernel was loaded"
    )
    folder = first.parent.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder == cache.run_folder()
    assert len([line for line in said if "LENSSIM_CACHE" in line]) == 1, said
    assert not Path("nowhere").exists(), "a relative HOME became a folder here"
    cache._remove(folder, os.getpid())
    assert not folder.exists()


def test_other_processes_of_a_run_say_nothing_more(said, tmp_path, monkeypatch):
    under_proc(tmp_path, monkeypatch)
    first = made()
    notes._said.clear()  # as a process begun later has it
    assert made(5).parent == first.parent
    assert len([line for line in said if "LENSSIM_CACHE" in line]) == 1, said


def test_a_ready_kernel_is_read_without_a_lock(said, tmp_path, monkeypatch):
    path = made()
    assert path.parent == tmp_path / "cache" / "kernels"
    monkeypatch.setattr(kernels, "_compiled", None)  # as where nothing can be written
    said.clear()
    assert made() == path
    assert not said
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def spoil_by_mode(path):
    path.chmod(0o666)


def spoil_by_owner(path):
    os.chown(path, NOBODY, NOBODY)


def spoil_by_link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def spoil_by_damage(path):
    path.write_text("damaged")


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_by_mode,
        pytest.param(spoil_by_owner, marks=as_root),
        spoil_by_link,
        spoil_by_damage,
    ],
)
def test_a_kernel_that_others_can_change_or_that_is_damaged_is_made_anew(spoil, said):
    path = made()
    path.write_text("planted")
    spoil(path)
    assert made() == path
    assert path.read_text() == "ours"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("fault", ["missing", "a file", "everybody's"])
def test_another_folder_stands_in_for_a_bad_tmpdir(fault, said, tmp_path, monkeypatch):
    folder = tmp_path / "other"
    if fault == "a file":
        folder.write_text("")
    if fault == "everybody's":
        folder.mkdir()
        folder.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(folder))
    assert cache.temporary_folder() != folder
    assert cache.temporary_folder() == Path(os.environ["TMPDIR"])
    assert len([line for line in said if "temporary files go to" in line]) == 1, said


def test_nowhere_to_work_is_said_before_anything_is_done(said, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "temporary_fault", lambda folder: "read-only file system")
    under_proc(tmp_path, monkeypatch)
    for action in (made, cache.prepare_run_folder):
        with pytest.raises(
            SurroundingsError,
            match="set TMPDIR to a folder of your own",
            check=has_code("no-temporary-folder"),
        ) as raised:
            action()
        assert isinstance(raised.value, ConfigError)


def test_what_torch_and_others_compile_is_kept_privately(said, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(shared))
    cache.private_compilers()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(
        tmp_path / "cache" / "torchinductor"
    )
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "cache" / "numba")
    assert stat.S_IMODE((tmp_path / "cache" / "torchinductor").stat().st_mode) == 0o700


def test_no_cache_of_torch_is_where_others_can_take_its_name(said, tmp_path):
    before = {
        name: vars(module).get("default_cache_dir")
        for name, module in sys.modules.items()
        if "torch." in name
    }
    headers = codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR
    try:
        private_inductor()
        ours = str(tmp_path / "cache" / "torchinductor")
        assert (
            cache_dir_utils.default_cache_dir()
            == codecache.default_cache_dir()
            == cache_dir_utils.cache_dir()
            == ours
        )
        assert codecache._HEADER_DIR.startswith(ours)
    finally:
        codecache._HEADER_DIR, codecache._HEADER_LOCK_DIR = headers
        for name, function in before.items():
            if function is not None:
                sys.modules[name].default_cache_dir = function
