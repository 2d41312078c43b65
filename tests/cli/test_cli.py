"""The command line as its users meet it: real processes, their output, their exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from astropy.io import fits

from lenssim.simulate.preset import preset_text


def process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lenssim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['lenssim', '--help']\n"
        "from lenssim.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'lenstronomy', 'matplotlib', 'numpy', 'h5py', 'astropy', 'dask', 'pydantic', 'rich'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr
    for command in (
        "generate",
        "render",
        "models",
        "info",
        "verify",
        "show",
        "import",
        "export",
        "train",
        "evaluate",
    ):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("--data . --epochs 0", "epochs"),
        ("--data . --net resnet19", "resnet18"),
        ("--data absent", "absent is no folder"),
    ],
)
def test_mistakes_in_options_of_a_training_are_named_before_torch_is_imported(
    tmp_path, mistake, says
):
    code = (
        f"import sys; sys.argv = 'lenssim train classify {mistake} --out r'.split()\n"
        "from lenssim.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        "    print(end.code, {'torch', 'lightning'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.startswith("2 set()") or done.stdout.startswith("1 set()"), done
    assert says in done.stderr


def test_version_and_models(lenssim):
    assert lenssim("--version").out.startswith("lenssim ")
    listed = lenssim("models").out
    assert all(f"\n{name} " in f"\n{listed}" for name in ("I", "II", "III"))
    assert lenssim("models", "III").out == preset_text("III")


@pytest.mark.thorough
def test_the_main_road(tmp_path, lenssim):
    """generate -> info -> verify -> show -> export -> import, as the README tells it."""
    made = process("generate", "--model", "III", "--n", 12, "--out", "D", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "D: 12 images of 1 x 64 x 64 (no_sub 4, cdm 4, axion 4)" in made.stdout
    assert "next: lenssim show D" in made.stdout
    again = lenssim(
        "generate", "--model", "III", "--n", 12, "--out", "D", "--workers", 0, "--json"
    )
    fingerprint = json.loads(again.out)["fingerprint"]
    assert fingerprint in made.stdout
    about = json.loads(lenssim("info", "D", "--json").out)
    assert about["complete"] is True
    assert about["fingerprint"] == fingerprint
    assert about["made_by"] == "III"
    assert "noise          nominal" in lenssim("info", "D").out
    assert "every hash right" in lenssim("verify", "D").out
    shown = lenssim("show", "D").out.split()
    assert [Path(path).name for path in shown] == [
        "contact-no_sub.png",
        "contact-cdm.png",
        "contact-axion.png",
    ]
    assert all((tmp_path / path).read_bytes().startswith(b"\x89PNG") for path in shown)
    assert lenssim("export", "D", "--to", "npy", "--out", "npy").code == 0
    back = lenssim("import", "deeplense", "npy", "--out", "E")
    assert "E: 12 images of 1 x 64 x 64 (no_sub 4, cdm 4, axion 4)" in back.out
    assert lenssim("verify", "E").code == 0


def test_render_writes_what_is_asked_for(tmp_path, lenssim):
    common = ("render", "--model", "III", "--class", "no_sub", "--noise", "none")
    centre = ("--set", "source_center_x=0.1", "--set", "source_center_y=-0.2")
    images = {}
    for suffix in ("npy", "fits", "png"):
        done = lenssim(*common, *centre, "--out", tmp_path / f"image.{suffix}", "--json")
        assert done.code == 0, done.err
        params = json.loads(done.out)["params"]
        assert (params["source_center_x"], params["source_center_y"]) == (0.1, -0.2)
    images["npy"] = np.load(tmp_path / "image.npy")
    with fits.open(tmp_path / "image.fits") as hdus:
        images["fits"] = hdus[0].data
        assert hdus[0].header["source_center_x"] == 0.1
    np.testing.assert_array_equal(images["npy"], images["fits"])
    assert (tmp_path / "image.png").read_bytes().startswith(b"\x89PNG")
    for bad, message in (
        (("--set", "thetaE=1"), "did you mean 'theta_E'"),
        (("--set", "theta_E"), "--set takes NAME=NUMBER"),
        (("--set", "theta_E=big"), "--set takes NAME=NUMBER"),
        (("--out", tmp_path / "image.gif"), "written as .npy, .fits or .png"),
        (("--class", "axoin"), "did you mean 'axion'"),
        (("--number", -1), "number must lie in 0.."),
        (("--noise", "published"), "noise of preset III"),
    ):
        done = lenssim(*common, "--out", tmp_path / "x.npy", *bad)
        assert done.code == 2, done.out
        assert message in done.err
        assert not (tmp_path / "x.npy").exists()


def test_the_published_image_through_the_command_line(tmp_path, lenssim, shared_data):
    centre = (
        "--set",
        "source_center_x=-0.061699574702876875",
        "--set",
        "source_center_y=0.08446788084981573",
    )
    out = tmp_path / "image.npy"
    done = lenssim(
        "render",
        "--model",
        "III",
        "--class",
        "no_sub",
        "--noise",
        "none",
        "--engine",
        "lenstronomy",
        *centre,
        "--out",
        out,
    )
    assert done.code == 0, done.err
    image = np.load(out)
    published = np.load(shared_data / "deeplense" / "no_sub.npy")
    assert np.abs(image / image.max() - published).max() < 1e-9


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("generate", "--model", "IIII", "--n", 3, "--out", "D"), 2, "did you mean 'III'"),
        (
            ("generate", "--model", "mine.yaml", "--n", 3, "--out", "D"),
            2,
            "did you mean 'z_lens'",
        ),
        (("generate", "--model", "III", "--n", 0, "--out", "D"), 2, "n must be at least 1"),
        (("generate", "--model", "III", "--n", "many", "--out", "D"), 2, "valid integer"),
        (
            ("generate", "--model", "III", "--n", 3, "--out", "D", "--workers", -1),
            2,
            "number of workers",
        ),
        (("generate", "--model", "III", "--n", 3, "--out", "file"), 2, "cannot use file"),
        (("generate", "--model", "III", "--n", 3), 2, "--out"),
        (("info", "absent"), 1, "absent is no folder"),
        (("verify", "absent"), 3, "1 problem; no shard was looked at"),
        (("show", "."), 1, "holds no data set"),
        (("import", "deeplense", "absent", "--out", "D"), 1, "absent is no folder"),
        (("export", ".", "--to", "nyp", "--out", "D"), 2, "did you mean 'npy'"),
        (("genrate",), 2, "generate"),
    ],
)
def test_mistakes_are_answered(tmp_path, lenssim, arguments, code, message):
    (tmp_path / "mine.yaml").write_text(preset_text("III").replace("z_lens:", "z_lense:"))
    (tmp_path / "file").write_text("")
    done = lenssim(*arguments)
    assert done.code == code, done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "D").exists()


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("mass: [1.0e+7, 1.0e+10]", "mass: [1.0e+10, 1.0e+7]", "low < high"),
        ("mass: [1.0e+7, 1.0e+10]", "mass: [0, 1.0e+10]", "1e3 <= low"),
        ("slope: -1.9", "slope: -3.5", "must lie in [-3, 0]"),
        ("z_source: 1.0", "z_source: 0.3", "got z_lens 0.5 and z_source 0.3"),
        (
            "log10_m_axion: {uniform: [-23.8, -22.5]}",
            "log10_m_axion: -26",
            "more than the frame's",
        ),
    ],
)
def test_impossible_physics_leaves_no_folder(tmp_path, lenssim, line, wrong, message):
    text = preset_text("III-corrected")
    assert line in text
    (tmp_path / "mine.yaml").write_text(text.replace(line, wrong))
    done = lenssim("generate", "--model", "mine.yaml", "--n", 3, "--out", "D")
    assert (done.code, "Traceback" in done.err, (tmp_path / "D").exists()) == (
        2,
        False,
        False,
    )
    assert message in done.err


def test_damage_ends_in_exit_code_3(tmp_path, lenssim):
    lenssim("generate", "--model", "III", "--n", 6, "--out", "D", "--workers", 0)
    shard = tmp_path / "D/shards/000000.h5"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    done = lenssim("verify", "D")
    assert done.code == 3
    assert "shards/000000.h5: dataset images" in done.out
    assert json.loads(lenssim("verify", "D", "--json").out)["ok"] is False


def test_dry_run_writes_nothing(tmp_path, lenssim):
    command = ("generate", "--model", "III", "--n", 90_000, "--out", "D", "--dry-run")
    done = lenssim(*command)
    assert "90,000 images of 1 x 64 x 64 in 44 shards" in done.out
    assert "on disk: 1.47 GB" in done.out
    plan = json.loads(lenssim(*command, "--json").out)
    assert plan["config"]["preset"]["name"] == "III"
    assert not (tmp_path / "D").exists()


def test_help_lists_every_command_in_a_section_of_the_road():
    from lenssim.cli.main import app
    from lenssim.cli.sections import SECTIONS

    listed = [name for section in SECTIONS.values() for name in section]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(typer.main.get_command(app).commands)
