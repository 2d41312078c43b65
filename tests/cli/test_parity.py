"""`lenssim parity`: what it prints, draws and refuses, and the law it is there for."""

import json
from dataclasses import replace

import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.inspection.residual_figure import residual_figure
from lenssim.errors import ConfigError
from lenssim.simulate import parity as module
from lenssim.simulate.engines import ENGINES
from lenssim.simulate.parity import compare_engines, compared_engines
from lenssim.simulate.preset import load_preset


@pytest.mark.parametrize("model", ["I", "II", "III"])
@pytest.mark.parametrize("engine", compared_engines())
def test_engines_agree_on_a_few_scenes_of_every_published_class(model, engine, monkeypatch):
    monkeypatch.setenv("LENSSIM_KERNELS", "eager")  # a minute of compilation for six images
    table = compare_engines(load_preset(model), 2, seed=6, engines=[engine])
    assert {residual.class_name for residual in table.residuals} == {
        "no_sub",
        "cdm",
        "axion",
    }
    for residual in table.residuals:
        assert residual.scenes == 2
        assert 0 <= residual.rms_peak <= residual.max_peak < ENGINES[engine].parity
        assert residual.rms_noise <= residual.max_noise
    assert table.agrees


@pytest.mark.slow
@pytest.mark.parametrize("model", ["I", "II", "III"])
@pytest.mark.parametrize("engine", compared_engines())
def test_engines_agree_on_200_scenes_of_every_published_class(model, engine):
    assert compare_engines(load_preset(model), 200, engines=[engine]).agrees


def test_every_engine_has_a_tolerance():
    for name in compared_engines():
        info = ENGINES[name]
        assert info.parity > 0
        assert min(info.tolerance.values()) > 0


def test_the_command_prints_a_table_and_saves_a_figure(lenssim, tmp_path):
    done = lenssim(
        "parity",
        "--model",
        "III",
        "--n",
        1,
        "--engine",
        "autolens",
        "--out",
        "residuals.png",
    )
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines() if line.startswith("autolens")]
    assert [row[1] for row in rows] == ["no_sub", "cdm", "axion"]
    assert all(0 < float(row[2]) < 1e-7 for row in rows)
    assert (tmp_path / "residuals.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_speaks_json(lenssim):
    done = lenssim(
        "parity",
        "-m",
        "I",
        "-n",
        1,
        "--engine",
        "autolens",
        "--json",
        "--supersampling",
        2,
        "--seed",
        3,
    )
    (table,) = json.loads(done.out)
    assert (table["preset"], table["supersampling"], table["reference"]) == (
        "I",
        2,
        "lenstronomy",
    )
    assert [residual["class_name"] for residual in table["residuals"]] == [
        "no_sub",
        "cdm",
        "axion",
    ]
    assert all(residual["agrees"] for residual in table["residuals"])


def test_engines_that_disagree_are_named_and_the_exit_code_is_3(lenssim, monkeypatch):
    monkeypatch.setitem(ENGINES, "autolens", replace(ENGINES["autolens"], parity=1e-20))
    done = lenssim("parity", "-m", "III", "-n", 1, "--engine", "autolens")
    assert done.code == 3
    assert "autolens and lenstronomy differ by" in done.err
    assert "sample 0" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "III", "--engine", "autolense"], "did you mean 'autolens'"),
        (
            ["-m", "III", "--engine", "lenstronomy"],
            "unknown engine to compare with lenstronomy",
        ),
        (["-m", "III", "-n", 0], "scenes a class must lie in 1..1,000,000, got 0"),
        (
            ["-m", "III", "-n", 1, "--supersampling", 13],
            "supersampling must lie in 1..12 and be the same for all engines, got 13",
        ),
        (["-m", "III", "--out", "figure.pdf"], "--out takes one preset's figure as .png"),
        (
            ["-m", "II", "-m", "III", "--out", "figure.png"],
            "--out takes one preset's figure as .png",
        ),
        (["-m", "IIII"], "unknown model 'IIII'"),
    ],
)
def test_what_cannot_be_is_refused(lenssim, arguments, message):
    done = lenssim("parity", *arguments)
    assert done.code == 2
    assert message in done.err


def test_the_worst_scene_is_the_one_that_is_shown(monkeypatch):
    """An engine that is off in one pixel of one scene: the table names it, in units of its peak and noise."""

    class Off:
        def render(self, scenes, instrument, *, supersampling=1):
            images = real.render(scenes, instrument, supersampling=supersampling).copy()
            images[4, 0, 10, 20] += 0.5 * images[4].max()
            return images

    real = module.engine(module.REFERENCE)
    monkeypatch.setattr(
        module,
        "engine",
        lambda name, **settings: real if name == module.REFERENCE else Off(),
    )
    preset = load_preset("III")
    table = compare_engines(preset, 2, engines=["autolens"])
    by_class = {residual.class_name: residual for residual in table.residuals}
    assert by_class["no_sub"].max_peak == by_class["axion"].max_peak == 0
    cdm = by_class["cdm"]
    assert (cdm.number, cdm.max_peak) == (4, pytest.approx(0.5))
    assert cdm.rms_peak == pytest.approx(0.5 / 64)  # one pixel of 64 x 64
    assert cdm.max_noise > 100
    assert not cdm.agrees
    assert not table.agrees
    image, difference = table.worst["autolens", "cdm"]
    assert np.unravel_index(difference.argmax(), (64, 64)) == (10, 20)
    assert residual_figure(table.worst, "off").startswith(b"\x89PNG")
    assert difference.max() == pytest.approx(0.5 * image.max())


def test_parity_is_refused_for_no_scenes():
    with pytest.raises(ConfigError, check=has_code("option-range")):
        compare_engines(load_preset("III"), 0)
