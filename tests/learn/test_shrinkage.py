"""The shrunk covariance is scikit-learn's."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from lenssim.learn.scores.shrinkage import shrunk_covariance

SHAPES = [(5, 1), (3, 8), (40, 8), (40, 40), (2000, 26)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("correlation", [0.0, 0.7, 1.0])
def test_it_is_that_of_scikit_learn(shape, correlation):
    rng = np.random.default_rng(1)
    common = rng.standard_normal((shape[0], 1))
    samples = correlation * common + (1 - correlation) * rng.standard_normal(shape)
    expected, _ = ledoit_wolf(samples, assume_centered=True)
    np.testing.assert_allclose(shrunk_covariance(samples), expected, rtol=1e-9, atol=1e-12)


def test_what_never_varies_has_no_covariance():
    assert not shrunk_covariance(np.zeros((4, 3))).any()
