"""The wheel: recipes, pages and presets are inside, and its commands need no clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv to build the wheel"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The files of the wheel, unpacked as an installation has them."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    zipfile.ZipFile(path).extractall(folder / "installed")
    installed = folder / "installed"
    code = "import lenssim; print(lenssim.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
    )
    assert done.stdout.startswith(str(installed)), "not the clone"
    return installed


def lenssim(wheel: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    code = "import sys; from lenssim.cli.main import main; sys.argv[0] = 'lenssim'; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=wheel.parent,
        check=True,
    )


def test_every_file_of_the_package_and_every_recipe_is_inside(wheel):
    packed = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    tracked = subprocess.run(
        ["git", "ls-files", "lenssim", "pipelines"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    expected = {path.replace("pipelines/", "lenssim/pipelines/", 1) for path in tracked}
    assert expected <= packed


def test_recipes_and_presets_are_found_without_a_clone(wheel):
    listed = lenssim(wheel, "recipes").stdout
    assert "quickstart" in listed
    text = lenssim(wheel, "recipes", "quickstart").stdout
    assert text == (ROOT / "pipelines/quickstart.yaml").read_text()
    assert "z_lens" in lenssim(wheel, "models", "III").stdout
