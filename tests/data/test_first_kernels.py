"""Kernels are compiled before the first image, unless a list says that all are there."""

import pytest

from lenssim.data.generation import first_kernels
from lenssim.data.generation.planning import make_plan
from lenssim.simulate.preset import load_preset


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """The plans whose kernels were compiled into a cache of its own."""
    plans = []
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path))

    def compile_kernels(plan, report):
        plans.append(plan)
        (tmp_path / "kernels" / "one.pt2").touch()
        return ["one.pt2"]

    monkeypatch.setattr(first_kernels, "_compile", compile_kernels)
    return plans


def plan_of(settings):
    plan = make_plan(load_preset("III"), 6)
    engine_settings = {**plan.config["engine_settings"], "device": "cpu", **settings}
    config = {**plan.config, "engine_settings": engine_settings}
    return plan.model_copy(update={"config": config})


def test_a_list_spares_the_look(compiled, tmp_path):
    plan = plan_of({"kernels": "compiled"})
    for _ in range(2):
        first_kernels.compile_kernels(plan, print)
    assert compiled == [plan]
    (tmp_path / "kernels" / "one.pt2").unlink()
    first_kernels.compile_kernels(plan, print)
    assert compiled == [plan, plan], "a kernel of the list was gone"


@pytest.mark.parametrize("settings", [{"kernels": "eager"}, {"device": "cuda"}])
def test_nothing_is_compiled_beforehand_where_nothing_would_be_used(compiled, settings):
    first_kernels.compile_kernels(plan_of({"kernels": "compiled", **settings}), print)
    assert not compiled
