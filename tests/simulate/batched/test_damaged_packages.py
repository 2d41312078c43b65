"""Archives of kernels with any damage: one kind of error, and nothing left in the cache."""

import random
import zipfile

import pytest

from lenssim.simulate.engines.batched.packages import load_package


@pytest.mark.parametrize("seed", range(40))
def test_damage_to_an_archive_is_a_runtime_error_and_leaves_nothing(tmp_path, seed):
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
