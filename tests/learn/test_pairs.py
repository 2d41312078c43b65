import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from lenssim.learn.scores.pairs import expected_chi2, pair_cells, pairs


@pytest.mark.parametrize(
    ("delta", "pixels"), [(0.0, 4096), (50.0, 4096), (100.0, 4096), (400.0, 22500)]
)
def test_a_fit_tells_classes_apart_as_its_chi_squared_says(delta, pixels):
    """Chi squared of k degrees of freedom has the variance 2 k, noncentral 2 k + 4 delta; many are normal."""
    labels = np.repeat([0, 1], 20_000)
    expected = norm.cdf(delta / np.sqrt(4 * pixels + 4 * delta))
    for substructure in (labels, 1 - labels):
        chi2 = expected_chi2(delta * substructure, pixels)
        (pair,) = pairs(labels, np.full((40_000, 2), 0.5), ("a", "b"), chi2)
        assert pair["fit"] == pytest.approx(expected, abs=0.01)
        assert pair["value"] == 0.5


def test_the_network_s_auc_of_a_pair_is_that_of_its_images_alone():
    rng = np.random.default_rng(3)
    labels = rng.integers(3, size=3000)
    logits = rng.normal(size=(3000, 3)) + 0.8 * np.eye(3)[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = pairs(labels, p, ("a", "b", "c"), rng.normal(size=3000))
    assert [pair["classes"] for pair in found] == [["a", "b"], ["a", "c"], ["b", "c"]]
    for pair, (one, other) in zip(found, ((0, 1), (0, 2), (1, 2)), strict=True):
        rows = (labels == one) | (labels == other)
        share = p[rows, other] / (p[rows, one] + p[rows, other])
        assert pair["value"] == pytest.approx(roc_auc_score(labels[rows] == other, share))
        expected = norm.cdf(
            0.8
        )  # difference of two logits: mean 1.6 apart, standard deviation sqrt 2 in each class
        assert pair["low"] < pair["value"] < pair["high"]
        assert pair["low"] - 0.02 < expected < pair["high"] + 0.02
        assert pair["high"] - pair["low"] < 0.06
        assert pair["fit"] == pytest.approx(0.5, abs=0.05)
    cells = pair_cells(found)
    assert [row["pair"] for row in cells] == ["a / b", "a / c", "b / c"]
    assert cells[0]["network's AUC"].startswith(f"{found[0]['value']:.4f} [")


def test_certain_answers_and_absent_classes():
    labels = np.array([0, 0, 1, 1])
    p = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0.2, 0.8, 0]], dtype=np.float64)
    (pair,) = pairs(labels, p, ("a", "b", "absent"), np.array([9.0, 11.0, 1e4, 2e4]))
    assert (pair["value"], pair["fit"]) == (1.0, 1.0)
