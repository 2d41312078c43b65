"""The pipeline: one function simulates, whoever asks, and a sample's bits are its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenssim.data.format.manifest import SHARDS, shard_name
from lenssim.data.format.reading import read_samples
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.simulate import pipeline
from lenssim.simulate.pipeline import Exposure, simulate, simulate_blocks
from lenssim.simulate.preset import load_preset
from lenssim.simulate.spec import SimulationSpec

N = 150  # three blocks
SHARD_SIZE = 40  # not aligned with them


@pytest.fixture(scope="module")
def plan():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENSSIM_KERNELS", "eager")
        return make_plan(
            load_preset("III"), N, seed=11, shard_size=SHARD_SIZE, truth=["clean"]
        )


@pytest.fixture(scope="module")
def shards(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline") / "D"
    generate(folder, plan)
    return [read_samples(folder / SHARDS / shard_name(k)) for k in range(plan.shards)]


@settings(max_examples=8)
@given(numbers=st.lists(st.integers(0, N - 1), min_size=1, max_size=20, unique=True))
def test_any_samples_have_the_bits_of_the_shards(plan, shards, numbers):
    exposure = simulate(plan.spec, numbers)
    images = np.concatenate([samples.images for samples in shards])
    clean = np.concatenate([samples.truth["clean"] for samples in shards])
    labels = np.concatenate([samples.labels for samples in shards])
    np.testing.assert_array_equal(exposure.observed, images[numbers])
    np.testing.assert_array_equal(exposure.maps["clean"], clean[numbers])
    np.testing.assert_array_equal(exposure.labels, labels[numbers])
    for name, column in exposure.params.items():
        stored = np.concatenate([samples.params[name] for samples in shards])
        np.testing.assert_array_equal(column, stored[numbers], err_msg=name)


def test_blocks_are_the_whole(plan):
    numbers = np.arange(30, N)
    whole = simulate(plan.spec, numbers)
    parts = list(simulate_blocks(plan.spec, numbers))
    assert [len(exposure) for _, exposure in parts] == [34, 64, 22]
    for positions, exposure in parts:
        np.testing.assert_array_equal(exposure.numbers, numbers[positions])
        np.testing.assert_array_equal(exposure.observed, whole.observed[positions])


def test_an_exposure_says_what_its_noise_is(plan):
    exposure = simulate(plan.spec, range(6))
    assert isinstance(exposure, Exposure)
    assert exposure.mask.all()
    assert exposure.mask.shape == exposure.sigma.shape == exposure.observed.shape
    deviates = (exposure.observed - exposure.expected) / exposure.sigma
    assert deviates.std() == pytest.approx(1, abs=5 / np.sqrt(2 * deviates.size))


def test_a_parameter_is_set_by_hand_and_the_others_stay():
    spec = SimulationSpec.of(load_preset("III"), engine="lenstronomy", noise="none")
    plain = simulate(spec, [0, 1]).params
    by_hand = simulate(spec, [0, 1], fixed={"theta_E": 1.1}).params
    assert (by_hand["theta_E"] == 1.1).all()
    assert plain.keys() == by_hand.keys()
    np.testing.assert_array_equal(plain["gamma1"], by_hand["gamma1"])


@pytest.mark.parametrize("at_once", [2, 16])
def test_blocks_at_once_change_no_bits(monkeypatch, at_once):
    """What a GPU is given, on the CPU."""
    spec = SimulationSpec.of(load_preset("III"), seed=2)
    numbers = np.arange(3, 150)
    alone = [exposure.observed for _, exposure in simulate_blocks(spec, numbers)]
    monkeypatch.setitem(pipeline.BLOCKS_AT_ONCE, "cpu", at_once)
    together = list(simulate_blocks(spec, numbers))
    assert len(together) == -(-150 // (64 * at_once))
    observed = np.concatenate([exposure.observed for _, exposure in together])
    np.testing.assert_array_equal(observed, np.concatenate(alone))
    places = np.concatenate([numbers[positions] for positions, _ in together])
    np.testing.assert_array_equal(places, numbers)
