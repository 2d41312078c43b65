"""Laws of every stream of normal deviates, and the bits of the one that goes by counter."""

import itertools

import numpy as np
import pytest
from scipy import stats

from lenssim.simulate.noise import deviates
from lenssim.simulate.noise.deviates import STREAMS, normal_deviates
from lenssim.simulate.noise.philox import philox4x32
from lenssim.simulate.noise.variance import pixel_variance

SHAPE = (2, 32, 33)
NUMBERS = np.arange(100, 170)  # more than a block
ODD_SHAPES = [(1, 1, 1), (1, 1, 2), (3, 2, 3), (1, 17, 31), (2, 64, 64)]
# Random123's known answers for philox4x32-10: counter, key, words
KNOWN = [
    ("00000000 " * 4, "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff " * 4, "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.fixture(params=sorted(STREAMS))
def stream(request) -> str:
    return request.param


def drawn(stream, numbers=NUMBERS, shape=SHAPE, seed=5, split="train") -> np.ndarray:
    return normal_deviates(stream, np.asarray(numbers), shape, seed=seed, split=split)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of two sets of deviates in units of its standard deviation."""
    return float((first * second).mean() * np.sqrt(first.size))


def test_they_are_normal(stream):
    values = drawn(stream, np.arange(640)).ravel().astype(np.float64)
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = np.sqrt(stats.norm.moment(2 * power) - moment**2)
        assert abs((values**power).mean() - moment) < 4.5 * spread / np.sqrt(values.size)
    assert stats.kstest(values, "norm").pvalue > 1e-4
    assert 4.5 < np.abs(values).max() < 7


def test_samples_bands_pixels_and_seeds_are_independent(stream):
    values = drawn(stream)
    pairs = {
        "samples": (values[1:], values[:-1]),
        "bands": (values[:, 0], values[:, 1]),
        "columns": (values[..., 1:], values[..., :-1]),
        "rows": (values[:, :, 1:], values[:, :, :-1]),
        "seeds": (values, drawn(stream, seed=6)),
        "splits": (values, drawn(stream, split="test")),
        "quarters": (values[..., :16, :], values[..., 16:, :]),
    }
    for name, (first, second) in pairs.items():
        assert abs(correlation(first, second)) < 4.5, name
        assert abs(correlation(first**2 - 1, second**2 - 1)) < 4.5 * 2, name


def test_a_sample_does_not_depend_on_its_batch(stream):
    whole = drawn(stream)
    for rows in ([0], [69, 2, 68], [3, 3]):
        np.testing.assert_array_equal(drawn(stream, NUMBERS[rows]), whole[rows])


def test_every_argument_counts(stream):
    values = drawn(stream, [0, 1, 1 << 32, (1 << 32) + 1])
    parts = [*values[:, 0], *values[:, 1], drawn(stream, [0], seed=1 << 70)[0, 0]]
    parts.append(drawn(stream, [0], split="validation")[0, 0])
    for first, second in itertools.combinations(parts, 2):
        assert not np.array_equal(first, second)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_known_answers(counter, key, expected):
    counters = np.array(words(counter), np.uint32)[:, None]
    first, second = words(key)
    assert philox4x32(counters, (first, second))[:, 0].tolist() == words(expected)


@pytest.fixture
def by_numpy(monkeypatch):
    """Run a function as on a machine without a compiler."""

    def run(function, *arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(deviates, "_library", lambda: None)
            return function(*arguments, **options)

    return run


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_compiled_and_numpy_give_the_same_bits(by_numpy, shape):
    if deviates._library() is None:
        pytest.skip("there is no C++ compiler here")
    numbers = np.array([0, 5, 3, 1 << 40])
    compiled = drawn("philox", numbers, shape)
    np.testing.assert_array_equal(compiled, by_numpy(drawn, "philox", numbers, shape))


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_the_noise_in_one_pass_has_the_bits_of_numpy(shape):
    numbers = np.array([7, 2])
    rng = np.random.default_rng(0)
    flux = rng.normal(size=(2, *shape)).astype(np.float32)
    exposure = np.array([300.0, 7.0], np.float32)[:, None, None, None]
    background2 = rng.random((1, shape[0], 1, 1)).astype(np.float32)
    options = {"seed": 1, "split": "test"}
    noisy = deviates.ccd_noise(flux, exposure, background2, numbers, **options)
    if noisy is None:
        pytest.skip("there is no C++ compiler here")
    sigma = np.sqrt(pixel_variance(flux, background2, exposure))
    expected = flux + normal_deviates("philox", numbers, shape, **options) * sigma
    np.testing.assert_array_equal(noisy, expected)


def test_it_serves_without_a_compiler(by_numpy):
    flux = np.ones((2, 1, 4, 4), np.float32)
    time = np.ones((1, 1, 1, 1), np.float32)
    arguments = (flux, time, time, np.arange(2))
    assert by_numpy(deviates.ccd_noise, *arguments, seed=0, split="train") is None
    assert by_numpy(drawn, "philox", [1, 2]).shape == (2, *SHAPE)
