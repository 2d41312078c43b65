import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lenssim.learn.scores.classification import (
    as_document,
    bootstrap,
    calibration_bins,
    classification_scores,
    resampled_scores,
)


def answers(n=300, classes=3, signal=1.5, seed=0, digits=None):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += signal
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return labels, p if digits is None else p.round(digits) + 1e-3


@pytest.mark.parametrize("digits", [None, 1])  # 1: many ties
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_both_ways_of_scoring_agree(classes, digits):
    labels, p = answers(classes=classes, digits=digits)
    scores = classification_scores(labels, p)
    resampled = resampled_scores(labels, p, np.ones((1, len(labels))))
    assert scores.keys() == resampled.keys()
    for name, value in scores.items():
        np.testing.assert_allclose(
            resampled[name][0], value, rtol=1e-12, atol=1e-15, err_msg=name
        )


def test_weights_are_repetitions():
    labels, p = answers(60, digits=2)
    rows = np.random.default_rng(1).integers(60, size=60)
    weighted = resampled_scores(labels, p, np.bincount(rows, minlength=60)[None])
    for name, value in classification_scores(labels[rows], p[rows]).items():
        np.testing.assert_allclose(
            weighted[name][0], value, rtol=1e-12, atol=1e-14, err_msg=name
        )


def test_macro_auc_is_scikit_learn_s():
    labels, p = answers()
    expected = roc_auc_score(labels, p, multi_class="ovr", average="macro")
    assert classification_scores(labels, p)["macro_auc"] == pytest.approx(
        expected, abs=1e-12
    )


def test_calibration():
    labels, p = answers(20_000, signal=1.0)
    confidence = p.max(axis=1)
    honest = np.random.default_rng(3).random(len(p)) < confidence
    labels = np.where(honest, p.argmax(axis=1), (p.argmax(axis=1) + 1) % 3)
    assert classification_scores(labels, p)["ece"] < 0.015
    sharp = p**4 / (p**4).sum(axis=1, keepdims=True)
    scores, bins = classification_scores(labels, sharp), calibration_bins(labels, sharp)
    assert scores["ece"] > 0.1
    gap = (bins["count"] * np.abs(bins["accuracy"] - bins["confidence"])).sum() / len(
        labels
    )
    assert scores["ece"] == pytest.approx(gap)


@pytest.mark.thorough
def test_intervals_cover_as_often_as_they_say():
    truth = classification_scores(*answers(200_000, seed=99))
    covered = {"accuracy": 0, "macro_auc": 0, "loss": 0}
    for seed in range(100):
        intervals = bootstrap(*answers(400, seed=seed), resamples=200, seed=seed)
        for name in covered:
            covered[name] += intervals[name][0] <= truth[name] <= intervals[name][1]
    assert all(88 <= count <= 100 for count in covered.values()), covered


def test_intervals_follow_from_the_seed_and_hold_the_score():
    labels, p = answers()
    scores, first, second = (
        classification_scores(labels, p),
        bootstrap(labels, p),
        bootstrap(labels, p),
    )
    for name in ("loss", "accuracy", "auc", "macro_auc"):
        assert np.array_equal(first[name], second[name])
        assert (first[name][0] < scores[name]).all()
        assert (scores[name] < first[name][1]).all()
    assert not np.array_equal(first["loss"], bootstrap(labels, p, seed=1)["loss"])


def test_a_class_that_is_absent_leaves_its_auc_undefined():
    labels, p = answers(100)
    labels[labels == 2] = 0
    document = as_document(
        classification_scores(labels, p),
        bootstrap(labels, p, resamples=20),
        ("a", "b", "c"),
    )
    assert document["auc"]["c"] == {"value": None, "low": None, "high": None}
    assert document["macro_auc"]["value"] is None
    assert 0 < document["auc"]["a"]["low"] < document["auc"]["a"]["high"] <= 1
    assert np.array(document["confusion"]["value"]).sum() == 100
