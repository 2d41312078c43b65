"""The reference engine beside the work: the same images, and no trace of it afterwards."""

import sys

import numpy as np
import pytest

from lenssim.data.generation import reference_process, runners
from lenssim.data.generation.failures import Outcome
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import REFERENCE, engine, engine_module
from lenssim.simulate.preset import load_preset

MODULES = [engine_module("batched"), engine_module(REFERENCE)]


@pytest.fixture
def wanted(monkeypatch):
    """As where nothing is imported yet."""
    monkeypatch.setattr(reference_process, "_is_worth_it", lambda modules: True)


def test_another_process_renders_the_same_bits(wanted):
    requests = []
    for name in ("III", "euclid-vis-nisp"):
        preset = load_preset(name)
        scenes = draw(preset, np.arange(2), seed=3)
        requests.append((scenes, preset.instrument, 1))
    with reference_process.reference_beside(MODULES):
        process = reference_process._process
        for scenes, instrument, sampling in requests:
            here = engine(REFERENCE).render(scenes, instrument, supersampling=sampling)
            images = reference_process._asked(process, (scenes, instrument, sampling))
            assert np.array_equal(images, here)
    assert process.returncode is not None
    assert reference_process._process is None


@pytest.mark.parametrize("fault", ["killed", "refused"])
def test_what_the_process_cannot_do_is_done_here(wanted, monkeypatch, fault):
    preset = load_preset("III")
    scenes = draw(preset, np.arange(1), seed=3)
    here = engine(REFERENCE).render(scenes, preset.instrument, supersampling=1)
    with reference_process.reference_beside(MODULES):
        process = reference_process._process
        if fault == "killed":
            process.kill()
        else:
            process.stdin.write(b"no request")
            process.stdin.flush()
        images = reference_process.reference_images(scenes, preset.instrument, 1)
        assert np.array_equal(images, here)
        assert reference_process._process is None


@pytest.mark.parametrize(
    ("cores", "imported", "modules", "starts"),
    [
        (2, [], MODULES, True),
        (1, [], MODULES, False),
        (2, MODULES[:1], MODULES, False),
        (2, MODULES[1:], MODULES, False),
        (2, [], MODULES[1:], False),
        (2, [], [], False),
    ],
)
def test_a_process_starts_only_where_it_saves_time(
    monkeypatch, cores, imported, modules, starts
):
    begun = []
    monkeypatch.setattr(reference_process, "available_cores", lambda: cores)
    monkeypatch.setattr(reference_process, "_started", lambda: begun.append(1))
    for module in MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in imported:
        monkeypatch.setitem(sys.modules, module, sys)
    outcomes = runners.local_runner(0, modules)(lambda shard: Outcome(shard, 1), [7])
    assert [outcome.shard for outcome in outcomes] == [7]
    assert bool(begun) is starts
