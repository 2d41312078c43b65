import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenssim.learn.scores.widths import (
    UNSURE_RATE,
    certainties,
    remarks_on_alike,
    share_as_wide,
    width_quantiles,
)


def test_images_like_those_of_the_validation_are_unsure_as_seldom_as_promised():
    """2,000 images: 200 expected, with a standard error of 13 and another of 13 from the knots."""
    rng = np.random.default_rng(3)
    validation, later = rng.lognormal(size=(2, 2000, 2)) * [0.1, 30]
    shares = share_as_wide(later, width_quantiles(validation))
    unsure = (shares <= UNSURE_RATE).mean(0)
    assert unsure == pytest.approx([UNSURE_RATE] * 2, abs=0.03)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40), st.integers(0, 39))
def test_the_share_counts_validation_images_to_one_per_cent(widths, row):
    sigma = np.array(widths)[:, None]
    value = sigma[row % len(sigma)]
    (share,) = share_as_wide(value[None], width_quantiles(sigma))[0]
    count = (sigma >= value).mean()
    assert share == pytest.approx(count, abs=0.01 + 1 / len(sigma))
    assert share > 0  # one of the validation images is as wide


def test_equal_errors_are_all_sure():
    """The head `point` states the same error for every image."""
    quantiles = width_quantiles(np.full((50, 1), 0.3))
    (certainty,) = certainties(["theta_E"], np.array([[0.3]]), quantiles)
    assert certainty == {"as_wide_in_validation": {"theta_E": 1.0}, "unsure": []}


def test_a_wide_answer_is_unsure_by_name():
    quantiles = width_quantiles(np.linspace([0.1, 1.0], [0.2, 2.0], 300))
    sure, wide = certainties(["a", "b"], np.array([[0.15, 1.1], [0.11, 3.0]]), quantiles)
    assert (sure["unsure"], wide["unsure"]) == ([], ["b"])
    assert wide["as_wide_in_validation"] == {"a": pytest.approx(0.9, abs=0.02), "b": 0}


def test_runs_that_kept_no_widths_say_nothing_of_them():
    assert certainties(["a"], np.ones((2, 1)), np.array(())) == [{}, {}]


def test_answers_that_are_alike_are_named():
    rng = np.random.default_rng(0)
    means = rng.normal([1.0, 0.0], [0.01, 0.2], size=(12, 2))
    (remark,) = remarks_on_alike(["theta_E", "e1"], means, np.array([0.4, 0.1]))
    assert remark.startswith("all 12 answers for theta_E are nearly the same")
    assert remarks_on_alike(["theta_E", "e1"], means[:4], np.array([0.4, 0.1])) == []
    assert remarks_on_alike(["theta_E"], np.empty((0, 1)), np.array([0.4])) == []
