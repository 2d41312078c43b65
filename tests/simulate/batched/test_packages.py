"""Archives of kernels are unpacked once, beside themselves, and for their owner alone."""

import os
import tempfile

import pytest
import torch

from lenssim.simulate.engines.batched import kernels, packages
from lenssim.simulate.engines.batched.packages import load_package
from lenssim.simulate.engines.batched.settings import compiler

pytestmark = pytest.mark.thorough  # it compiles a kernel


class Twice(torch.nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    if compiler() is None:
        pytest.skip("no C++ compiler")
    path = tmp_path_factory.mktemp("kernels") / "twice.pt2"
    program = torch.export.export(Twice(), (torch.ones(4),))
    torch._inductor.aoti_compile_and_package(
        program, package_path=str(path), inductor_configs=kernels._INDUCTOR
    )
    return path


@pytest.fixture
def copied(archive, tmp_path, monkeypatch):
    """A copy of the archive in a folder of its own, and an empty TMPDIR beside it."""
    (tmp_path / "kernels").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    path = tmp_path / "kernels" / archive.name
    path.write_bytes(archive.read_bytes())
    return path


def doubles(path) -> bool:
    return bool(
        (load_package(path)(torch.arange(4.0)) == torch.tensor([0.0, 2.0, 4.0, 6.0])).all()
    )


def test_a_kernel_is_loaded_from_beside_its_archive(copied, tmp_path):
    assert doubles(copied)
    assert doubles(copied)
    assert sorted(path.name for path in copied.parent.iterdir()) == ["twice", "twice.pt2"]
    assert copied.with_suffix("").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("fault", ["open", "a link", "another's", "damaged"])
def test_a_folder_that_cannot_be_trusted_is_not_loaded(copied, monkeypatch, fault):
    folder = copied.with_suffix("")
    folder.mkdir(0o700)
    if fault == "open":
        folder.chmod(0o777)
    elif fault == "a link":
        folder.rename(copied.parent / "elsewhere")
        folder.symlink_to("elsewhere")
    elif fault == "another's":
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    loaded = []
    load = packages._load
    monkeypatch.setattr(packages, "_load", lambda path: loaded.append(path) or load(path))
    assert doubles(copied)
    assert (folder in loaded) == (fault == "damaged")
    assert loaded[-1] == copied


def test_where_nothing_can_be_unpacked_torch_unpacks_for_itself(copied, monkeypatch):
    def refuse(**options):
        raise PermissionError

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert doubles(copied)
    assert [path.name for path in copied.parent.iterdir()] == ["twice.pt2"]
