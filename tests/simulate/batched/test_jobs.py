"""What an engine announces is what it needs, and a first compilation is a phase that counts."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lenssim.lazy import load
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched import (
    compilers,
    deflections,
    hoisted,
    light,
    preparation,
)
from lenssim.simulate.engines.batched.jobs import needed_jobs
from lenssim.simulate.engines.batched.kernels import asked_for_package
from lenssim.simulate.preset import load_preset

FUNCTIONS = (
    deflections._deflect,
    light.surface_brightness,
    light.sampling_error,
    hoisted.unit_deflection,
    hoisted.behind_lens,
)


@pytest.fixture
def used(monkeypatch):
    """The names of the kernels that are asked for, eager ones."""
    names: list[str] = []

    def kernel(module, example, name, dynamic, **options):
        names.append(name)
        return module

    for module in (deflections, light, hoisted):
        monkeypatch.setattr(module, "kernel", kernel)
    for function in FUNCTIONS:
        function.cache_clear()
    yield names
    for function in FUNCTIONS:
        function.cache_clear()


@pytest.mark.parametrize("far_field", ["haloes", "series"])
@pytest.mark.parametrize("model", ["III", "III-corrected", "hst-arcs"])
def test_every_kernel_that_is_used_is_announced(model, far_field, used):
    preset = load_preset(model)
    settings = {"precision": "float32", "device": "cpu", "kernels": "eager"}
    renderer = engine("batched", **settings, far_field=far_field)
    scenes = draw(preset, np.arange(len(preset.classes)), seed=1)
    camera = preset.instrument
    rays = preset.supersampling
    renderer.render(scenes, camera, supersampling=rays)
    rendered = set(used)
    used.clear()
    for name, arguments in needed_jobs(renderer.deflections, scenes, camera, rays):
        load(name).__wrapped__(*arguments)
    assert rendered
    assert rendered <= set(used)


def test_a_kernel_can_be_asked_for_without_compiling_it(monkeypatch, tmp_path):
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path))
    options = (torch.float32, torch.device("cpu"))
    function = deflections._deflect.__wrapped__
    assert asked_for_package(function, (None, False, *options, False)) is None
    answer = asked_for_package(function, (None, False, *options, True))
    assert answer is not None
    package, is_ready = answer
    assert not is_ready
    (tmp_path / "kernels" / package).touch(mode=0o600)
    assert asked_for_package(function, (None, False, *options, True)) == (package, True)


@pytest.mark.parametrize("made", [(), ("a", "b", "c")])
def test_missing_kernels_are_compiled_and_counted(made, monkeypatch):
    ready = {"a": False, "b": False, "c": False, "d": True}
    jobs = [(name, ()) for name in ready]
    monkeypatch.setattr(
        preparation,
        "packages_of",
        lambda jobs: {name: ready[name] for name, _ in jobs},
    )
    started = []

    def hand_out(missing, helpers):
        started.append((missing, len(helpers)))
        ready.update(dict.fromkeys(made, True))

    def wait_for_jobs(most):
        return [subprocess.Popen([sys.executable, "-c", ""])]

    monkeypatch.setattr(compilers, "waiting_compilers", wait_for_jobs)
    monkeypatch.setattr(compilers, "hand_out", hand_out)
    told = []
    preparation.compile_all(jobs, lambda *progress: told.append(progress))
    assert started == [(jobs[:3], 1)]
    assert told[0] == (0, 3, None)
    assert told[-1][:2] == (len(made), 3)
    ready.update(dict.fromkeys("abc", True))
    preparation.compile_all(jobs, lambda *progress: told.append("again"))
    assert "again" not in told
