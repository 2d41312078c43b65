"""What every test may rely on: seeded hypothesis, untouched global random states, real data where there are some."""

import os
import random
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rich.style  # noqa: F401 - it draws a random number when it is imported
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes on two cores
# Hundreds of processes import torch: its sources are compiled once, not once a process.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("lenssim", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("lenssim")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _global_random_state_stays(request):
    """No test, and so no code under test, may move a global random state."""
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    yield
    numpy_state = np.random.get_state()[1]  # noqa: NPY002
    assert (numpy_state == before[0]).all(), "the global numpy random state moved"
    if request.node.get_closest_marker("dask") is None:
        assert random.getstate() == before[1], "the global random state of `random` moved"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("real data are not beside this checkout (shared/data)")
    return SHARED


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """A complete data set of 70 Model III images in shards of 32."""
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import load_preset

    folder = tmp_path_factory.mktemp("data") / "III"
    generate(folder, make_plan(load_preset("III"), 70, seed=5, shard_size=32))
    return folder


@pytest.fixture(scope="session")
def workplace(tmp_path_factory) -> Path:
    """A folder with data/III (300 images), and runs/cnn and runs/sie trained on it for an epoch."""
    import lightning.pytorch  # noqa: F401 - now, because importing it draws a random number

    import lenssim as package

    folder = tmp_path_factory.mktemp("workplace")
    with chdir(folder):
        data = package.generate("III", 300, "data/III", workers=0)
        package.train("classify", data, out="runs/cnn", epochs=1)
        targets = "source_center_x,source_center_y"
        package.train(
            "regress", data, out="runs/sie", epochs=1, targets=targets, head="diagonal"
        )
    return folder


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def lenssim(tmp_path, monkeypatch, capfd):
    """Runs the command line in this process, in `tmp_path`: importing everything anew for each would take minutes."""
    from lenssim.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["lenssim", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capfd.readouterr())

    return run
