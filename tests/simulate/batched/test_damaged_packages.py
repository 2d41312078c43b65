"""Archives of kernels with any damage: one kind of error, and nothing left in the cache."""

import os
import random
import subprocess
import sys
import tempfile
import zipfile

import pytest

from lenssim.simulate.engines.batched.packages import load_package


@pytest.mark.parametrize("seed", range(40))
def test_damage_to_an_archive_is_a_runtime_error_and_leaves_nothing(
    tmp_path, tmp_path_factory, monkeypatch, seed
):
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = tmp_path / "kernel.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"data/{number}.txt", f"text {number}" * 300)
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(1 + seed % 3):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if seed % 10 == 0:
        del content[chance.randrange(len(content)) :]
    path.write_bytes(content)
    with pytest.raises(RuntimeError):
        load_package(path)
    assert {entry.name for entry in tmp_path.iterdir()} <= {"kernel", "kernel.pt2"}
    assert list(temporary.iterdir()) == []
    assert os.environ["TMPDIR"] == str(temporary)


@pytest.mark.thorough
def test_what_torch_unpacks_goes_with_the_process(tmp_path):
    """A kernel that is alive at the end, as those in a cache of a module are."""
    program = (
        "import os\n"
        "from pathlib import Path\n"
        "from lenssim.simulate.engines.batched import packages\n"
        "packages._load = lambda path: Path(os.environ['TMPDIR'], 'aotinductor_1').mkdir()\n"
        "packages._load_archive(Path('kernel.pt2'))\n"
        "print(*Path(os.environ['TMPDIR']).glob('*/*'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith("aotinductor_1"), done.stderr
    assert list(tmp_path.iterdir()) == []
