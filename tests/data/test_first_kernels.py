"""Kernels are compiled before the first image, unless a list says that all are there."""

import pytest

from lenssim.api.progress import show_first_compilation
from lenssim.data.generation import first_kernels
from lenssim.data.generation.planning import make_plan
from lenssim.simulate.preset import load_preset


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """The sample numbers whose kernels were compiled into a cache of its own."""
    calls = []
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path))

    def compile_kernels(spec, numbers, tell, early=False):
        calls.append(numbers.tolist())
        tell(0, 1, None)
        (tmp_path / "kernels" / "one.pt2").touch()
        return ["one.pt2"]

    monkeypatch.setattr(first_kernels, "_compile", compile_kernels)
    return calls


def plan_of(settings):
    plan = make_plan(load_preset("III"), 6)
    engine_settings = {**plan.config["engine_settings"], "device": "cpu", **settings}
    config = {**plan.config, "engine_settings": engine_settings}
    return plan.model_copy(update={"config": config})


def test_a_list_spares_the_look(compiled, tmp_path):
    plan = plan_of({"kernels": "compiled"})
    for _ in range(2):
        first_kernels.compile_kernels(plan.spec, print, plan.n)
    assert compiled == [list(range(12))]
    (tmp_path / "kernels" / "one.pt2").unlink()
    first_kernels.compile_kernels(plan.spec, print, plan.n)
    assert compiled == 2 * [list(range(12))], "a kernel of the list was gone"


@pytest.mark.parametrize("settings", [{"kernels": "eager"}, {"device": "cuda"}])
def test_nothing_is_compiled_beforehand_where_nothing_would_be_used(compiled, settings):
    plan = plan_of({"kernels": "compiled", **settings})
    first_kernels.compile_kernels(plan.spec, print, plan.n)
    assert not compiled


def test_an_image_needs_its_own_kernels_only_and_its_bar_shows_them(compiled, capsys):
    spec = plan_of({"kernels": "compiled"}).spec
    for _ in range(2):
        show_first_compilation(spec, 1, [7])
    assert compiled == [[7], [7]], "one image says nothing about a whole data set"
    assert "preparing 0 of 1 compiling kernels 0/1" in capsys.readouterr().err


def test_no_bar_is_shown_where_no_kernel_is_missing(compiled, capsys):
    spec = plan_of({"kernels": "compiled"}).spec
    show_first_compilation(spec, 6)
    assert "compiling" in capsys.readouterr().err
    show_first_compilation(spec, 6)
    assert capsys.readouterr().err == ""
