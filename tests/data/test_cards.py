"""Cards, without one: the CPU goes through the same code."""

import os
import threading
from dataclasses import replace

import pytest

from lenssim import machine
from lenssim.data.generation import cards, simulation
from lenssim.data.generation.cards import WRITERS, card_of, cards_of, in_threads
from lenssim.data.generation.failures import Outcome
from lenssim.data.generation.runners import local_runner
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.errors import StorageError
from lenssim.simulate import pipeline
from lenssim.simulate.preset import load_preset


def plan_of(n: int, device: str = "cpu", **options):
    plan = make_plan(load_preset("III"), n, shard_size=3, **options)
    settings = {**plan.config["engine_settings"], "device": device}
    return plan.model_copy(update={"config": {**plan.config, "engine_settings": settings}})


@pytest.fixture
def card_is_the_cpu(monkeypatch):
    """Take the way of a card with the device cpu."""
    monkeypatch.setattr(pipeline, "_has_noise_of_device", lambda spec: True)
    monkeypatch.setattr(simulation, "is_on_card", lambda plan: True)
    monkeypatch.setattr(simulation, "cards_of", lambda plan: ["0"])


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_a_data_set_by_way_of_a_card_has_the_same_bits(tmp_path, request, storage):
    plain = generate(tmp_path / "plain", plan_of(15, storage=storage))
    request.getfixturevalue("card_is_the_cpu")
    assert generate(tmp_path / "card", plan_of(15, storage=storage)) == plain


@pytest.mark.gpu
@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_set_of_a_card_has_the_same_scenes(tmp_path, workers):
    if not machine.graphics_cards():
        pytest.skip("there is no card here")
    on_cpu = generate(tmp_path / "cpu", plan_of(12))
    on_card = generate(tmp_path / "card", plan_of(12, "cuda"), workers=workers)
    assert on_card.class_counts == on_cpu.class_counts
    assert on_card.audit.peak < 1e-4


def test_only_plans_of_cards_have_cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert cards_of(plan_of(6)) == []
    assert cards_of(plan_of(6, "cuda")) == ["3", "5"]


def test_cards_are_counted_where_nothing_names_them(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "_CARDS", tmp_path)
    assert machine.graphics_cards() == []
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / bus).mkdir()
    assert machine.graphics_cards() == ["0", "1"]
    monkeypatch.setattr(machine, "_CARDS", tmp_path / "absent")
    assert cards_of(plan_of(6, "cuda")) == ["0"]


def test_threads_make_every_shard_once():
    names = set()

    def job(shard):
        names.add(threading.current_thread().name)
        return Outcome(shard, 1)

    outcomes = list(in_threads(job, iter(range(20))))
    assert sorted(outcome.shard for outcome in outcomes) == list(range(20))
    assert 1 <= len(names) <= WRITERS + 1


def test_threads_begin_nothing_after_the_last_wanted_shard():
    begun = []
    stopped = False

    def wanted():
        for shard in range(50):
            if stopped:
                return
            begun.append(shard)
            yield shard

    for outcome in in_threads(lambda shard: Outcome(shard, 1), wanted()):
        stopped = stopped or outcome.rows > 0
    assert len(begun) <= 2 * (WRITERS + 1)


def test_what_a_thread_raises_ends_the_run():
    def job(shard):
        raise StorageError("the disk is full", code="write-failed")

    with pytest.raises(StorageError):
        list(in_threads(job, range(3)))


@pytest.mark.dask
def test_workers_take_cards_in_turn():
    def job(shard):
        return replace(Outcome(shard, 1), failure=os.environ["CUDA_VISIBLE_DEVICES"])

    outcomes = list(local_runner(2, cards=["4", "7"])(job, range(8)))
    by_worker = {outcome.worker: outcome.failure for outcome in outcomes}
    assert set(by_worker.values()) <= {"4", "7"}
    assert len(set(by_worker.values())) == len(by_worker)
    assert [card_of(number, ["4", "7"]) for number in range(3)] == ["4", "7", "4"]


def test_the_plugin_is_sent_to_workers():
    import cloudpickle

    plugin = cloudpickle.loads(cloudpickle.dumps(cards.pinning_plugin(["1"])))
    assert plugin.cards == ["1"]
