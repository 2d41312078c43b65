"""What a small generation imports: nothing that it does not need."""

import shutil
import subprocess
import sys

import pytest

NOT_NEEDED = (
    "astropy",
    "dask",
    "distributed",
    "lightning",
    "matplotlib",
    "scipy.stats",
    "sympy",
    "torch._dynamo",
    "torch._inductor",
)
PROGRAM = """
import sys
from lenssim.cli.main import main

from lenssim.data.generation import reference_process

reference_process.available_cores = lambda: 1  # so that this process imports both engines
sys.argv = ["lenssim", "generate", "-m", "III", "-n", "3", "--workers", "0", "-o", "data"]
try:
    main()
finally:
    print("imported:", *sys.modules)
"""
PLAN = """
import sys
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.simulate.preset import load_preset

make_plan(load_preset("III"), 3)
sys.exit("torch" in sys.modules)
"""


def test_a_small_generation_imports_only_what_it_needs(tmp_path, tiny_data):
    """Its kernels are compiled already: `tiny_data` has the same."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True
    )
    imported = run.stdout.partition("imported:")[2].split()
    assert "lenstronomy" in imported, run.stderr
    assert not set(NOT_NEEDED) & set(imported)


def test_a_plan_is_made_without_torch():
    assert subprocess.run([sys.executable, "-c", PLAN]).returncode == 0


@pytest.mark.thorough
def test_a_training_starts_without_the_libraries_of_its_scores():
    program = (
        "import sys, lenssim.learn.training.training\n"
        "sys.exit(bool({'sklearn', 'pandas', 'astropy', 'dask'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_command_that_only_finishes_a_data_set_does_not_import_torch(tmp_path, tiny_data):
    """Its summary comes from the manifest; opening the images would take seconds more."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny_data, folder)
    program = (
        "import sys\n"
        "from lenssim.cli.main import main\n"
        f"sys.argv = ['lenssim', 'seal', {str(folder)!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print('imported:', *sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "fingerprint" in run.stdout, run.stderr
    assert "torch" not in run.stdout.partition("imported:")[2].split()
