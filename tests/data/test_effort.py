"""How many workers pay for their start."""

import pytest

from lenssim.data.generation import effort
from lenssim.data.generation.effort import images_left, paying_workers, seconds_an_image
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.simulate.preset import load_preset, presets


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(effort, "default_workers", lambda: 8)


def plan_of(n: int, model: str = "III", **options):
    return make_plan(load_preset(model), n, **options)


@pytest.mark.parametrize(
    "model", sorted(set(presets()) - {"IV", "IV-substructure", "IV-corrected"})
)
def test_workers_grow_with_the_work_up_to_the_cores(model):
    counts = [paying_workers(plan_of(n, model)) for n in (1, 1000, 30_000, 10**7)]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] == 8


def test_what_costs_more_has_workers_earlier():
    assert paying_workers(plan_of(3000, "III")) == 0
    assert paying_workers(plan_of(3000, "hst")) > 0


@pytest.mark.parametrize(
    "options",
    [{"engine_name": "lenstronomy"}, {"precision": "float64"}, {"supersampling": 4}],
    ids=str,
)
def test_slower_choices_are_known(options):
    fast, slow = plan_of(64).spec, plan_of(64, **options).spec
    assert seconds_an_image(slow) > 1.5 * seconds_an_image(fast)


def test_there_are_no_more_workers_than_shards():
    assert paying_workers(plan_of(10**6, shard_size=350_000)) == 3


def test_what_is_done_needs_no_workers(tmp_path):
    plan = plan_of(9, shard_size=3, noise="none")
    assert images_left(tmp_path / "D", plan) == 9
    generate(tmp_path / "D", plan.model_copy(update={"n": 6}))
    assert images_left(tmp_path / "D", plan) == 3
    assert paying_workers(plan_of(10**7), 0) == 0


def test_small_work_stays_in_this_process(tmp_path, monkeypatch):
    def no_workers(*arguments, **options):
        raise AssertionError("workers were started")

    monkeypatch.setattr("lenssim.data.generation.runners._on_workers", no_workers)
    assert generate(tmp_path / "D", plan_of(6), workers=None).n == 6
